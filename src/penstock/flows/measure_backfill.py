"""How much a backfill would work, before it is started: by the planner's own choice, in memory for open batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.flows.look_after_runs import arrivals_of
from penstock.flows.plan_backfill import Choice
from penstock.model.arrivals import Arrival
from penstock.model.backfills import Claim
from penstock.model.datasets import Dataset
from penstock.ports import Clock, Leases, ObjectStore


@dataclass(slots=True)
class Size:
    """`opened` is how often a file will be read: for its table, and for its index."""

    listed: int = 0
    files: int = 0
    bytes: int = 0
    batches: int = 0
    opened: int = 0
    datasets: Counter[str] = field(default_factory=Counter)


def measure_backfill(
    store: ObjectStore, leases: Leases, clock: Clock, datasets: Mapping[str, Dataset], prefix: str
) -> Size:
    """What a backfill of `prefix` that is started now would plan. Writes nothing."""
    now = clock.now()
    live = leases.live_runs()
    choice = Choice(Claim(prefix, now), arrivals_of(store, live).keys(), leases.waiting(), now, datasets)
    size, previous = Size(), ""
    for arrival in store.arrivals(prefix):
        size.listed += 1
        if arrival.key != previous:
            for batch in choice.batches(arrival):
                _add(size, *batch, datasets)
        previous = arrival.key
    for batch in choice.packing.rest():
        _add(size, *batch, datasets)
    return size


def _add(size: Size, name: str, arrivals: tuple[Arrival, ...], datasets: Mapping[str, Dataset]) -> None:
    dataset = datasets.get(name)
    ways = (dataset.table is not None) + (dataset.index is not None) if dataset else 0
    size.batches += 1
    size.files += len(arrivals)
    size.bytes += sum(arrival.size for arrival in arrivals)
    size.opened += ways * len(arrivals)
    size.datasets[name] += len(arrivals)
