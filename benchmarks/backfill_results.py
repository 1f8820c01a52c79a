"""What `make bench-backfill` has measured: a table for a person, and a file beside the other results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.functions import Spent
from benchmarks.machine import measured_here
from penstock.local.cost import Line, total

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "costs.md"
BEGIN, END = "<!-- begin: written by `make bench-backfill` -->\n", "<!-- end -->\n"
console = Console()


@dataclass(frozen=True)
class Measured:
    files: int
    seconds: float
    tenths: Sequence[float]
    """Seconds from one tenth of the files to the next, by when the load ledger decided them; linear is: all alike."""
    put_seconds: float
    paging_mib: float
    transitions: int
    lines: Sequence[Line]
    functions: Sequence[Spent]

    @property
    def per_million(self) -> float:
        """Dollars."""
        return total(self.lines) / self.files * 1_000_000

    @property
    def planner_mib(self) -> int:
        """The peak of the worker that plans, libraries and all."""
        return next((one.peak_mib for one in self.functions if one.function == "plan_backfill"), 0)


def show(measured: Sequence[Measured]) -> None:
    made = Table(
        "files", "seconds", "files/s", "paging, MiB", "planner, MiB", "transitions a file", "$ a million files"
    )
    for one in measured:
        made.add_row(
            f"{one.files:,}",
            f"{one.seconds:.1f}",
            f"{one.files / one.seconds:.0f}",
            f"{one.paging_mib:.1f}",
            f"{one.planner_mib}",
            f"{one.transitions / one.files:.4f}",
            f"{one.per_million:.2f}",
        )
    console.print(made)
    last = measured[-1]
    console.print(
        f"Seconds of each tenth of {last.files:,} files: {', '.join(f'{tenth:.1f}' for tenth in last.tenths)}"
    )
    for line in last.lines:
        console.print(f"{line.service}: {line.what}: ${line.dollars:.4f}")
    for each in last.functions:
        console.print(
            f"{each.function}: {each.calls:,} calls; on average {each.cpu_ms:.0f} ms of processor time, "
            f"{each.wall_ms:.0f} in all; peak {each.peak_mib} MiB"
        )


def save(measured: Sequence[Measured], at_once: int) -> None:
    document = {
        **measured_here("make bench-backfill"),
        "batches_at_once": at_once,
        "runs": [
            {**asdict(one), "planner_mib": one.planner_mib, "dollars_per_million": round(one.per_million, 2)}
            for one in measured
        ],
    }
    path = RESULTS / f"backfill-{datetime.now(UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"Written to {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path))


def publish(measured: Sequence[Measured], at_once: int) -> None:
    """The table in docs/costs.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + _table(measured, at_once) + END + after)
    console.print(f"Written to {PAGE.name}")


def _table(measured: Sequence[Measured], at_once: int) -> str:
    last = measured[-1]
    rows = [
        "| files | seconds | files/s | planner's peak, MiB | paging, MiB | transitions a file | $ a million files |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {one.files:,} | {one.seconds:.0f} | {one.files / one.seconds:.0f} | {one.planner_mib} "
            f"| {one.paging_mib:.1f} | {one.transitions / one.files:.3f} | {one.per_million:.2f} |"
            for one in measured
        ),
        "",
        f"Each tenth of the {last.files:,}, in seconds: {', '.join(f'{tenth:.0f}' for tenth in last.tenths)}.",
        "",
        f"| function, in the run of {last.files:,} | calls | processor time of one, ms | billed, ms | peak, MiB |",
        "|---|---|---|---|---|",
        *(
            f"| {each.function} | {each.calls:,} | {each.cpu_ms:.0f} | {each.wall_ms:.0f} | {each.peak_mib} |"
            for each in last.functions
        ),
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {at_once} batches at once.",
    ]
    return "\n".join(rows) + "\n"
