"""Brings a batch to its end: each arrival goes to `processed/`, to `failed/` with its reasons, or back.

The order makes a death at any line harmless. First everything is decided, and what may be done twice is done
(documents, rejects, reasons). Then the decisions are written to `settling/`, and from there on every repeat carries out
exactly those: what was put back is not counted twice, and an arrival that the first try moved is not judged again. Then
come the moves, then the attempts; and only then `settled/`, so that what the summary reads there has really happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from penstock.flows.decide_batch import Desk, Destinations
from penstock.flows.decided import Stuck
from penstock.flows.deciding import Branch
from penstock.flows.plan_of import read_batch
from penstock.flows.set_aside import leave_history
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, SettledBatch, Settlement
from penstock.model.plans import Batch, settled_batch_key, settling_key
from penstock.ports import Attempt, Clock, Leases, Move, ObjectStore

__all__ = ["Destinations", "settle_batch"]


def settle_batch(
    store: ObjectStore,
    leases: Leases,
    destinations: Destinations,
    clock: Clock,
    datasets: Mapping[str, Dataset],
    plan: str,
    number: int,
    warehouse_branch: Mapping[str, Any],
    search_branch: Mapping[str, Any],
    most_attempts: int,
    tell: Callable[[SettledArrival], None] = lambda _: None,
) -> dict[str, int]:
    """`{"processed", "failed", "put_back"}`, in files. The branches are their outcomes as the state machine has them.

    A destination that is down opens its breaker, and the batch is put back without an attempt being counted. A file
    that can't be written for or moved for good is put back alone. `tell` hears of each that is not processed.
    """
    batch = read_batch(store, plan, number)
    settling = _begun(store, plan, number)
    if settling is None:
        branches = Branch.of(warehouse_branch), Branch.of(search_branch)
        desk = Desk(store, leases, destinations, clock, datasets, most_attempts, *branches)
        decided = desk.decide(plan, batch)
        settling = _Settling(
            SettledBatch(plan, number, batch.dataset, tuple(one.arrival for one in decided)),
            tuple(one.attempt for one in decided if one.attempt),
            {one.arrival.arrival: one.rejects for one in decided if one.rejects},
        )
        store.put_json(settling_key(plan, number), settling.to_json())
    dataset = datasets.get(batch.dataset)
    if dataset and dataset.table is None and dataset.index and destinations.search:
        # Once more, now that the decision stands: an indexing that was given up on has asked for it before it was
        # there, and then has written before this; or it finds it, and takes out itself what it wrote.
        for one in settling.batch.arrivals:
            if one.settlement is Settlement.FAILED:
                destinations.search.delete_arrival(dataset.index.name, one.arrival)
    settled = _carry_out(store, leases, batch, settling, Stuck(store, leases, clock, plan, most_attempts))
    store.put_json(settled_batch_key(plan, number), settled.to_json())
    for one in settled.arrivals:
        if one.settlement is not Settlement.PROCESSED:
            tell(one)
    counts = Counter(arrival.settlement for arrival in settled.arrivals)
    return {settlement.value: counts[settlement] for settlement in Settlement}


def _carry_out(store: ObjectStore, leases: Leases, batch: Batch, settling: _Settling, stuck: Stuck) -> SettledBatch:
    """What has become of the batch: as it was decided, less what S3 refuses to move for good."""
    arrivals = {arrival.id: arrival for arrival in batch.arrivals}
    settled = [one for one in settling.batch.arrivals if one.settlement is not Settlement.PUT_BACK]
    # Before the moves: once a file has left failed/, no other retry would come by and finish this.
    refused: dict[str, str] = {}
    for one in settled:
        rejects = settling.rejects.get(one.arrival, "")
        try:
            leave_history(store, arrivals[one.arrival], settling.batch.plan, one.settled_key, rejects)
        except PermanentError as error:
            refused[one.arrival] = str(error)
    moves = [Move(arrivals[one.arrival], one.settled_key) for one in settled if one.arrival not in refused]
    refused.update(store.move(moves))
    kept = {id_: stuck.end(arrivals[id_], why) for id_, why in refused.items()}
    # After the moves: an arrival whose attempts were forgotten while it still lay in incoming/ would begin anew.
    leases.put_back([*settling.attempts, *(one.attempt for one in kept.values() if one.attempt)])
    leases.forget([one.arrival for one in settled if one.arrival not in kept])
    ends = (kept[one.arrival].arrival if one.arrival in kept else one for one in settling.batch.arrivals)
    return replace(settling.batch, arrivals=tuple(ends))


@dataclass(frozen=True, slots=True)
class _Settling:
    """What is about to be done with a batch, as it lies in `settling/`."""

    batch: SettledBatch
    attempts: tuple[Attempt, ...]
    rejects: Mapping[str, str]
    """Where each arrival's rejects are, of those that have any."""

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.batch.to_json(),
            "attempts": [
                {**asdict(attempt), "not_before": attempt.not_before.isoformat()} for attempt in self.attempts
            ],
            "rejects": dict(self.rejects),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> _Settling:
        return cls(
            SettledBatch.from_json(raw["batch"]),
            tuple(
                Attempt(**{**attempt, "not_before": datetime.fromisoformat(attempt["not_before"])})
                for attempt in raw["attempts"]
            ),
            raw.get("rejects", {}),
        )


def _begun(store: ObjectStore, plan: str, number: int) -> _Settling | None:
    try:
        return _Settling.from_json(store.get_json(settling_key(plan, number)))
    except KeyError:
        return None
