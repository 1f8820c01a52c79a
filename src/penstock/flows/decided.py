"""How one arrival ends, and how one ends that is decided and can't be written for, or moved: it holds up no other."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from penstock.flows.deciding import LONGEST_WAIT, not_before, shortened
from penstock.flows.set_aside import REJECTS, beside, write_reason_where_it_lies
from penstock.model.arrivals import Arrival
from penstock.model.errors import PermanentError
from penstock.model.outcomes import SettledArrival, Settlement
from penstock.ports import Attempt, Clock, Leases, ObjectStore


@dataclass(frozen=True, slots=True)
class Decided:
    """One arrival's end, and the attempt to remember when it is put back and that counts."""

    arrival: SettledArrival
    attempt: Attempt | None = None
    rejects: str = ""
    """The key that its rejects were written to, if it has any."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """What becomes of arrivals of `plan` that can't be settled for good, be it S3 that refuses one of their keys.

    There is nowhere to put such a file, so it stays where it lies. From `incoming/` it is tried again, after
    `most_attempts` each hour: it heals by itself when the refusal is lifted, and an alarm rings until then.
    """

    store: ObjectStore
    leases: Leases
    clock: Clock
    plan: str
    most_attempts: int

    def end(self, arrival: Arrival, why: str) -> Decided:
        if arrival.location:
            return self._left(arrival, shortened(f"It could not be settled: {why}"))
        before = self.leases.attempts_of([arrival.id]).get(arrival.id)
        # Two settlings of one batch may meet: this run's attempt is counted once.
        attempts = before.attempts - (before.run == self.plan) if before else 0
        reason = shortened(f"{arrival.key} can't be settled, and is tried again: {why}")
        now = self.clock.now()
        later = not_before(now, attempts) if attempts + 1 < self.most_attempts else now + LONGEST_WAIT
        crashes = before.crashes if before else 0
        return Decided(
            SettledArrival(arrival.id, arrival.key, Settlement.PUT_BACK, reason=reason),
            Attempt(arrival.id, attempts + 1, later, reason, self.plan, crashes),
        )

    def _left(self, arrival: Arrival, reason: str) -> Decided:
        """A retried one stays in `failed/`, and so do its rejects."""
        with suppress(PermanentError):  # It may be just that which can't be written.
            write_reason_where_it_lies(self.store, arrival, self.plan, reason)
        key = arrival.lies.key
        settled = SettledArrival(arrival.id, arrival.key, Settlement.FAILED, reason=reason, settled_key=key)
        return Decided(settled, rejects=beside(key, REJECTS))
