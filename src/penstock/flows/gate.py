"""What may be planned while a destination is down: nothing that goes there, but for a probe now and then."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from penstock.model.arrivals import Arrival
from penstock.model.breakers import Breaker, needs
from penstock.model.datasets import Dataset


@dataclass(frozen=True, slots=True)
class Gate:
    """`breakers` are those that are open, by destination; `live` the ids of the runs that go on."""

    breakers: Mapping[str, Breaker]
    datasets: Mapping[str, Dataset]
    live: Container[str]
    now: datetime

    def shut(self, dataset: str) -> frozenset[str]:
        """The destinations of the dataset that are down. A name that no dataset has goes nowhere."""
        return needs(self.datasets.get(dataset)) & self.breakers.keys()

    def admit(self, eligible: Mapping[str, Sequence[Arrival]]) -> dict[str, Sequence[Arrival]]:
        """What of `eligible` (per dataset, oldest first) may be planned.

        Where a destination is due to be tried, one file goes through: of the dataset that waits longest the smallest,
        so that a file that is too much for a destination is not what it is judged by.
        """
        admitted = {name: arrivals for name, arrivals in eligible.items() if not self.shut(name)}
        tried: set[str] = set()
        waiting = [name for name, arrivals in eligible.items() if arrivals and self.shut(name)]
        for name in sorted(waiting, key=lambda name: (eligible[name][0].modified, name)):
            wanted = self.shut(name)
            if tried.isdisjoint(wanted) and all(
                self.breakers[one].lets_one_through(self.now, self.live) for one in wanted
            ):
                tried |= wanted
                admitted[name] = [min(eligible[name], key=lambda arrival: arrival.size)]
        return admitted

    def probed_by(self, run: str, datasets: Iterable[str]) -> list[Breaker]:
        """The breakers, as they are to be kept when `run` was started with files of those datasets."""
        return [
            self.breakers[destination].probed_by(run, self.now)
            for destination in sorted({destination for name in datasets for destination in self.shut(name)})
        ]
