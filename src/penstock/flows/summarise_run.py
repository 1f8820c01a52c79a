"""What a run did, in words that a person reads on a phone, and in numbers for who wants them.

It reads only what `settle_batch` wrote after it had moved everything; a batch without that is said to be unsettled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from penstock.flows.plan_of import read_plan
from penstock.model.datasets import Dataset
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Plan, settled_batch_key, settling_key, summary_key
from penstock.ports import ObjectStore

_THREADS = 16
SHOWN = 10
"""Files that are named per paragraph: a mail is read, and a state's output is at most 256 KiB."""
_SHOWN_REASON = 300
_MAX_SUBJECT = 100
"""SNS's limit for a subject, in ASCII characters."""


@dataclass(slots=True)
class Totals:
    """Of one dataset, or of all."""

    files: int = 0
    processed: int = 0
    failed: int = 0
    put_back: int = 0
    died: int = 0
    """Of those that were put back: because a worker died."""
    unsettled: int = 0
    duplicates: int = 0
    rows: int = 0
    repeats: int = 0
    rejects: int = 0
    documents: int = 0

    def add(self, arrival: SettledArrival) -> None:
        self.files += 1
        self.processed += arrival.settlement is Settlement.PROCESSED
        self.failed += arrival.settlement is Settlement.FAILED
        self.put_back += arrival.settlement is Settlement.PUT_BACK
        self.died += arrival.died
        self.duplicates += arrival.duplicate
        self.rows += arrival.rows
        self.repeats += arrival.repeats
        self.rejects += arrival.rejects
        self.documents += arrival.documents


class Tally(Protocol):
    """Totals by dataset: what a subject and a table are made of."""

    @property
    def datasets(self) -> dict[str, Totals]: ...

    def total(self, name: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan: of each batch that was settled what its settling wrote, of others that they were not."""

    plan: Plan
    settled: Mapping[int, SettledBatch]
    datasets: dict[str, Totals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for batch in self.plan.batches:
            totals = self.datasets.setdefault(batch.dataset, Totals())
            outcome = self.settled.get(batch.number)
            if outcome is None:
                totals.files += len(batch.arrivals)
                totals.unsettled += len(batch.arrivals)
            else:
                for arrival in outcome.arrivals:
                    totals.add(arrival)

    @property
    def unsettled(self) -> list[int]:
        return [batch.number for batch in self.plan.batches if batch.number not in self.settled]

    def total(self, name: str) -> int:
        return sum(getattr(totals, name) for totals in self.datasets.values())

    def went(self, settlement: Settlement) -> list[SettledArrival]:
        return [
            arrival
            for _, batch in sorted(self.settled.items())
            for arrival in batch.arrivals
            if arrival.settlement is settlement
        ]


def summarise_run(store: ObjectStore, datasets: Mapping[str, Dataset], plan: str, run_id: str = "") -> dict[str, Any]:
    """`run_id` is the run that asks, when it only closes the plan's run again.

    `{"subject", "message", "ok", "kick_offs": [{"plan", "dataset"}]}`; not ok when a batch was left unsettled.
    """
    read = read_plan(store, plan)
    run = Outcome(read, settled_of(store, read))
    answer = {
        "subject": subject(run),
        "message": closing_told(plan, run_id) + _message(run),
        "ok": not run.unsettled,
        "kick_offs": [{"plan": plan, "dataset": name} for name in to_kick_off(store, datasets, read, run.settled)],
    }
    totals = {name: asdict(totals) for name, totals in sorted(run.datasets.items())}
    store.put_json(summary_key(plan), {**answer, "run": plan, "datasets": totals, "unsettled": run.unsettled})
    return answer


def settled_of(store: ObjectStore, plan: Plan) -> dict[int, SettledBatch]:
    """What the settlings of a plan have written, by batch."""

    def read(number: int) -> SettledBatch | None:
        try:
            return SettledBatch.from_json(store.get_json(settled_batch_key(plan.id, number)))
        except KeyError:
            return None

    numbers = [batch.number for batch in plan.batches]
    with ThreadPoolExecutor(min(_THREADS, len(numbers) or 1), thread_name_prefix="settled") as pool:
        return {number: batch for number, batch in zip(numbers, pool.map(read, numbers), strict=True) if batch}


def to_kick_off(
    store: ObjectStore,
    datasets: Mapping[str, Dataset],
    plan: Plan,
    settled: Mapping[int, SettledBatch] | None = None,
) -> list[str]:
    """The datasets that ask for it and of which something new was loaded or indexed.

    Also where a settling moved files and was not ended: no other run has those. What it didn't move, the next run has.
    """
    asking = {name for name, dataset in datasets.items() if dataset.kick_off}
    if asking.isdisjoint(batch.dataset for batch in plan.batches):
        return []
    known = settled_of(store, plan) if settled is None else settled
    fresh = {batch.dataset for batch in known.values() if any(map(_is_fresh, batch.arrivals))}
    for batch in plan.batches:
        if batch.number not in known and batch.dataset in asking - fresh and _moved(store, plan, batch.number):
            fresh.add(batch.dataset)
    return sorted(fresh & asking)


def _is_fresh(arrival: SettledArrival) -> bool:
    if arrival.settlement is Settlement.PUT_BACK or arrival.duplicate:
        return False
    return bool(arrival.rows or (arrival.documents and arrival.settlement is Settlement.PROCESSED))


def _moved(store: ObjectStore, plan: Plan, number: int) -> bool:
    """Whether a settling that was begun and not ended has moved anything new."""
    try:
        begun = SettledBatch.from_json(store.get_json(settling_key(plan.id, number))["batch"])
    except KeyError:
        return False
    return any(_is_fresh(one) and any(store.keys(one.settled_key)) for one in begun.arrivals)


def closing_told(plan: str, run_id: str) -> str:
    if run_id in ("", plan):
        return ""
    return f"This is {run_id}: run {plan} ended badly, and is closed again to kick off what it had not.\n\n"


def subject(run: Tally) -> str:
    parts = [f"{run.total('processed')} of {_count(run.total('files'), 'file')} processed"]
    for name, words in (("failed", "failed"), ("put_back", "put back"), ("unsettled", "UNSETTLED")):
        if run.total(name):
            parts.append(f"{run.total(name)} {words}")
    text = f"Penstock: {', '.join(parts)}"
    return text.encode("ascii", "replace").decode()[:_MAX_SUBJECT]


def _message(run: Outcome) -> str:
    paragraphs = [
        f"Run {run.plan.id}, begun {run.plan.created:%Y-%m-%d %H:%M:%S %Z}: {_count(len(run.plan.batches), 'batch')}.",
        totals_table(run),
        files_told(
            "Failed, and set aside in failed/. Mend them and put them again:",
            run.went(Settlement.FAILED),
        ),
        files_told("Put back, to be tried again by themselves:", run.went(Settlement.PUT_BACK)),
        _unsettled(run),
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


_COLUMNS = ("files", "processed", "failed", "put_back", "rows", "repeats", "rejects", "documents", "duplicates")


def totals_table(run: Tally) -> str:
    names = [name for name in _COLUMNS if name in ("files", "processed", "failed") or run.total(name)]
    table = [["dataset", *(name.replace("_", " ") for name in names)]]
    for dataset, totals in sorted(run.datasets.items()):
        table.append([dataset, *(f"{getattr(totals, name):,}" for name in names)])
    if len(run.datasets) > 1:
        table.append(["all", *(f"{run.total(name):,}" for name in names)])
    widths = [max(len(row[place]) for row in table) for place in range(len(names) + 1)]
    return "\n".join(_aligned(row, widths) for row in table)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *numbers])


def files_told(title: str, arrivals: Sequence[SettledArrival], number: int = 0) -> str:
    """A paragraph that names the first of them; `number` is how many there are, when not all are given."""
    if not arrivals:
        return ""
    lines = [title]
    lines += [f"- {_printable(one.key)}\n  {_printable(one.reason)[:_SHOWN_REASON]}" for one in arrivals[:SHOWN]]
    if (more := max(number, len(arrivals)) - len(arrivals[:SHOWN])) > 0:
        lines.append(f"- and {more:,} more")
    return "\n".join(lines)


def _unsettled(run: Outcome) -> str:
    if not run.unsettled:
        return ""
    numbers = ", ".join(str(number) for number in run.unsettled[:SHOWN])
    more = f" and {len(run.unsettled) - SHOWN} more" if len(run.unsettled) > SHOWN else ""
    return (
        f"NOT SETTLED: {_count(len(run.unsettled), 'batch')} ({numbers}{more}), {run.total('unsettled'):,} files. They "
        "are still in incoming/, nothing of them is lost or loaded twice, and the next listing plans them again. The "
        "error is in this run's execution, in the state that settles."
    )


def _printable(text: str) -> str:
    """On one line: a key may hold a newline, which could forge a line of this message."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _count(number: int, what: str) -> str:
    plural = {"batch": "batches"}.get(what, f"{what}s")
    return f"{number:,} {what if number == 1 else plural}"
