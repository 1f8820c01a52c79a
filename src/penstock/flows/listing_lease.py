"""The lease under which one lists and plans, prolonged while that goes on, and for how long that reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from penstock.model.arrivals import Arrival
from penstock.model.errors import TransientError
from penstock.ports import Clock, Leases, ListingLease

LEASE = timedelta(minutes=2)
"""How long a listing that died can keep the next from listing. One that lives prolongs it."""
READS = timedelta(minutes=2)
"""How long `incoming/` is read, of the five minutes that the function has for all."""


@dataclass(slots=True)
class Holding:
    """The listing lease, prolonged while the listing goes on."""

    leases: Leases
    clock: Clock
    lease: ListingLease
    cut: bool = False
    """Whether `through` has left out the rest."""

    def keep(self) -> None:
        now = self.clock.now()
        if self.lease.expires - now > LEASE / 2:
            return
        renewed = self.leases.acquire_listing(self.lease.owner, now, LEASE)
        if renewed and renewed.token == self.lease.token + 1:
            self.lease = renewed
            return
        # Every holder raises the token by one: another has held the lease, and what was read before is out of date.
        while renewed and self.leases.release_listing(renewed):
            continue
        raise TransientError(
            "The listing was overtaken by another, which plans the same files. There is nothing to do."
        )

    def through(self, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
        began = self.clock.now()
        for number, arrival in enumerate(arrivals):
            if number % 1000 == 0:
                self.keep()
                self.cut = self.clock.now() - began >= READS
                if self.cut:
                    return
            yield arrival
