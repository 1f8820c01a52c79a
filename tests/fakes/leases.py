from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from penstock.model.breakers import Breaker
from penstock.model.errors import TransientError
from penstock.ports import Attempt, ListingLease, Memo, RunRecord, RunStatus


class FakeLeases:
    def __init__(self) -> None:
        self._holder: ListingLease | None = None
        self._token = 0
        self._dirty = False
        self._runs: dict[str, RunRecord] = {}
        self._waiting: dict[str, Attempt] = {}
        self._breakers: dict[str, Breaker] = {}
        self._memos: dict[str, Memo] = {}
        self.kick_offs: dict[tuple[str, str], str] = {}

    def acquire_listing(self, owner: str, now: datetime, lasting: timedelta) -> ListingLease | None:
        if self._holder and self._holder.owner != owner and self._holder.expires > now:
            self._dirty = True
            return None
        self._token += 1
        self._holder = ListingLease(owner, self._token, now + lasting)
        return self._holder

    def release_listing(self, lease: ListingLease) -> bool:
        if self._token != lease.token:
            return False
        if self._dirty:
            self._dirty = False
            return True
        self._holder = None
        return False

    def record_run(self, lease: ListingLease, run: RunRecord) -> None:
        if self._holder is None or (self._holder.token, self._holder.owner) != (lease.token, lease.owner):
            raise TransientError("another listing holds the lease by now")
        self._runs[run.id] = run

    def live_runs(self) -> Sequence[RunRecord]:
        return [run for _, run in sorted(self._runs.items()) if run.live]

    def end_run(self, run: str, status: RunStatus, ended: datetime) -> None:
        record = self._runs.get(run)
        if record and record.live:
            self._runs[run] = replace(record, live=False, status=status, ended=ended)

    def runs(self, limit: int) -> Sequence[RunRecord]:
        return [run for _, run in sorted(self._runs.items(), reverse=True)][:limit]

    def waiting(self) -> Mapping[str, Attempt]:
        return dict(self._waiting)

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Attempt]:
        return {arrival: self._waiting[arrival] for arrival in arrivals if arrival in self._waiting}

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        self._waiting.update({attempt.arrival: attempt for attempt in attempts})

    def forget(self, arrivals: Sequence[str]) -> None:
        for arrival in arrivals:
            self._waiting.pop(arrival, None)

    def breakers(self) -> Mapping[str, Breaker]:
        return dict(self._breakers)

    def open_breaker(self, breaker: Breaker) -> None:
        self._breakers[breaker.destination] = breaker

    def close_breaker(self, destination: str) -> None:
        self._breakers.pop(destination, None)

    def drop(self, run: str) -> None:
        """Forgets a run that ended, as the table does in time."""
        del self._runs[run]

    def memos(self) -> Mapping[str, Memo]:
        return dict(self._memos)

    def keep_memo(self, memo: Memo) -> bool:
        standing = self._memos.get(memo.name)
        if memo.version != (standing.version if standing else 0):
            return False
        self._memos[memo.name] = replace(memo, version=memo.version + 1)
        return True

    def claim_kick_off(self, run: str, dataset: str) -> bool:
        return (run, dataset) not in self.kick_offs

    def finish_kick_off(self, run: str, dataset: str, reference: str) -> None:
        self.kick_offs[run, dataset] = reference
