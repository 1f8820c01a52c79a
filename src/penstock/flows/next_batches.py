"""The batches of the next run: what of the files that may be planned fits beside what live runs hold and work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.flows.gate import Gate
from penstock.flows.planning import ALONE_FROM, Room, Share, choose, group
from penstock.flows.remembering import Remembered
from penstock.flows.start_run import Limits
from penstock.model.arrivals import Arrival
from penstock.model.huge import is_huge
from penstock.model.plans import MAX_BATCHES, Batch
from penstock.ports import Attempt, RunRecord

_RESERVE = 10
"""One part in so many of all room is left to datasets that hold less than their fair share of it.

Of the batches at work it is one at least: else a dataset could keep all others waiting for as long as it has files.
"""


def room_beside(limits: Limits, live: Sequence[RunRecord], shares: Mapping[str, Share]) -> Room:
    return Room(
        files=limits.files - sum(run.files for run in live),
        bytes=limits.bytes - sum(run.bytes for run in live),
        empty=not any(run.files for run in live),
        shares=shares,
        reserve_files=limits.files // _RESERVE,
        reserve_bytes=limits.bytes // _RESERVE,
        most_bytes=limits.bytes,
    )


def next_batches(
    limits: Limits,
    live: Sequence[RunRecord],
    room: Room,
    gate: Gate,
    eligible: Mapping[str, Sequence[Arrival]],
    waiting: Mapping[str, Attempt],
    remembered: Remembered,
) -> tuple[Batch, ...]:
    rates = {name: remembered.dataset(name).rate for name in gate.datasets}
    alone = {
        arrival.id: ALONE_FROM
        for name, arrivals in eligible.items()
        for arrival in arrivals
        if name in gate.datasets and is_huge(gate.datasets[name], arrival, rates[name])
    }
    left = limits.at_work - sum(_at_work(run, limits) for run in live)
    most = _most_batches(left, limits)
    batches = group(
        choose(gate.admit(eligible), room),
        {name: dataset.batch for name, dataset in gate.datasets.items()},
        {arrival: attempt.attempts for arrival, attempt in waiting.items()} | alone,
        most=most,
        reserved=most - _most_batches(left - min(max(limits.at_work // _RESERVE, 1), limits.at_work - 1), limits),
        idle={name for name in eligible if not room.shares[name].held_files},
    )
    return tuple(replace(batch, rate=rates.get(batch.dataset, 0)) for batch in batches)


def _at_work(run: RunRecord, limits: Limits) -> int:
    return limits.backfill.at_once if run.claim else min(run.batches, limits.parallel)


def _most_batches(left: int, limits: Limits) -> int:
    """Of a run that may work `left` at once: it works `parallel` however many it has, and never more than it has."""
    return MAX_BATCHES if left >= limits.parallel else max(left, 0)
