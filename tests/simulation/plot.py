"""The month as a picture, for docs/operations.md."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from matplotlib.figure import Figure
from tests.simulation.judge import bound
from tests.simulation.month import BEGIN, DAY, LIMITS, Seen

ALARMS = ("BacklogGrowsAlarm", "BacklogNotFallingAlarm", "SilentDatasetsAlarm", "RunsFailAlarm")


def plot(seen: Seen, path: Path) -> None:
    """Backlog, leases with a dataset's pace, what files waited for their plan, and the alarms, one below the other."""
    figure = Figure(figsize=(11, 10), layout="constrained")
    backlog, leased, waits, alarms = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 3, 2))
    backlog.plot(*_points(seen.backlog), color="tab:blue", linewidth=0.7)
    backlog.set_title("Files in incoming/", loc="left")

    leased.plot(*_points(seen.leased), color="tab:blue", linewidth=0.5, label="leased, all datasets")
    leased.step(*_points(seen.pace), where="post", color="tab:orange", linewidth=1.2, label="pace of dumps")
    leased.axhline(LIMITS.files, color="tab:red", linestyle="--", linewidth=1, label="limit")
    leased.set_title("Files leased", loc="left")
    leased.legend(loc="upper left", fontsize="small")

    for name, color in (("clicks", "tab:green"), ("orders", "tab:purple")):
        keys = [key for key in seen.planned if f"/{name}/" in key]
        waited = [(seen.planned[key] - seen.arrived[key]).total_seconds() / 60 for key in keys]
        waits.plot(
            [_days(seen.arrived[key]) for key in keys],
            waited,
            ".",
            markersize=1,
            color=color,
            label=name,
        )
        waits.axhline(bound(name).total_seconds() / 60, color=color, linestyle="--", linewidth=1)
    waits.set_yscale("log")
    waits.set_title("Minutes from arrival to plan, and the bound while there is room (dashed)", loc="left")
    waits.legend(loc="upper left", fontsize="small", markerscale=8)

    for row, name in enumerate(ALARMS):
        for begin, end in seen.cloudwatch.rang(name):
            alarms.barh(row, _days(end) - _days(begin), left=_days(begin), color="tab:red", height=0.6)
    world = seen.world
    for spans, color, label in (
        (world.outages, "black", "outage"),
        ([(begin, end) for begin, end, _ in world.floods], "tab:blue", "flood"),
        ([(begin, end) for begin, end, _ in world.slow], "tab:orange", "slow"),
        (world.silences, "tab:gray", "orders silent"),
    ):
        for number, (begin, end) in enumerate(spans):
            for axes in (backlog, leased, waits, alarms):
                axes.axvspan(_days(begin), _days(end), color=color, alpha=0.25, label="" if number else label)
    alarms.set_yticks(range(len(ALARMS)), ALARMS)
    alarms.set_ylim(-0.5, len(ALARMS) - 0.5)
    alarms.set_title("Alarms (red), and what happened (shaded)", loc="left")
    alarms.legend(loc="upper left", fontsize="small", ncols=4)
    alarms.set_xlim(0, world.days)
    alarms.set_xlabel("days")
    figure.savefig(path, dpi=90, metadata={"Software": ""})


def _points(series: list[tuple[datetime, int]]) -> tuple[list[float], list[int]]:
    return [_days(at) for at, _ in series], [value for _, value in series]


def _days(at: datetime) -> float:
    return (at - BEGIN) / DAY
