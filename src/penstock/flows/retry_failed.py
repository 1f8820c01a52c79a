"""Tries files in `failed/` again where they lie: no copy goes back to `incoming/`, and each keeps its identity.

A retry is a run like any other, planned under the listing lease, so that it races neither the lister nor itself. What
it supersedes is a number: an arrival's `retry` is one more than its last reason says, and a quarantine of a lesser one
does not bind the warehouse any more. That is all that "lifting" a quarantine is, and the transaction that decides anew
does it. So a death at any line leaves the file in `failed/` and the ledger as it was, or a run that the next listing
starts; and a run that dies midway leaves what another retry takes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.flows.close_again import is_needless
from penstock.flows.listing_lease import LEASE
from penstock.flows.look_after_runs import look_after
from penstock.flows.planning import group
from penstock.flows.set_aside import REASON, REJECTS, beside
from penstock.flows.start_run import Limits, start_run
from penstock.model.arrivals import FAILED, Arrival, Location, arrival_id_of, is_settled
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError, TransientError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.ports import Clock, Leases, ObjectStore, RunRecord, Runs, RunStatus

_READERS = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files: `keys` name them as they lie in `failed/`, as they came in `incoming/`, or by arrival id.

    No keys: all of them. `dataset` leaves out those that are not of it as the datasets are now.
    """

    keys: tuple[str, ...] = ()
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """A file in `failed/`. `dataset` is empty where still none claims its key."""

    arrival: Arrival
    dataset: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "arrival": self.arrival.id,
            "key": self.arrival.key,
            "lies": self.arrival.lies.key,
            "bytes": self.arrival.size,
            "dataset": self.dataset or None,
            "retry": self.arrival.retry,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Retry:
    """What a retry would do or did. `run` is empty where nothing was started; `passed_over` says why, by failed key."""

    batches: tuple[Batch, ...]
    files: tuple[Failed, ...]
    passed_over: Mapping[str, str]
    run: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run or None,
            "batches": [{"dataset": batch.dataset, "files": len(batch.arrivals)} for batch in self.batches],
            "files": [failed.to_json() for failed in self.files],
            "passed_over": [{"key": key, "why": why} for key, why in self.passed_over.items()],
        }


@dataclass(frozen=True, slots=True)
class Retrying:
    """What a retry needs of a stack."""

    store: ObjectStore
    leases: Leases
    runs: Runs
    clock: Clock
    datasets: Mapping[str, Dataset]
    limits: Limits

    def preview(self, wanted: Wanted) -> Retry:
        """What `start` would do at this moment. Writes nothing. Raises PermanentError for a key that names no file."""
        goes_on = (RunStatus.RUNNING, RunStatus.MISSING)  # A missing one is yet to be started.
        now = self.clock.now()
        live = [run for run in self.leases.live_runs() if now < run.expires]
        return self._choose(*self._find(wanted), [run for run in live if self.runs.status(run.execution) in goes_on])

    def start(self, wanted: Wanted, owner: str) -> Retry:
        """Plans and starts it. `owner` names this call alone.

        Raises TransientError while a listing is going on (it takes seconds), or when one overtook this: nothing was
        started then.
        """
        # Before the lease, since it can take a while: should another retry settle a file meanwhile, this one finds the
        # ledger decided and the file moved, and does nothing.
        found, passed_over = self._find(wanted)
        lease = self.leases.acquire_listing(owner, self.clock.now(), LEASE)
        if lease is None:
            raise TransientError("A listing is going on, and a run is planned by one at a time. Try again in a second.")
        try:
            live, _ = look_after(
                self.leases, self.runs, self.clock, lambda run: is_needless(run, self.store, self.leases, self.datasets)
            )
            retry = self._choose(found, passed_over, live)
            if not retry.batches:
                return retry
            run = start_run(self.store, self.leases, self.runs, self.clock, self.limits, lease, retry.batches)
            return Retry(retry.batches, retry.files, retry.passed_over, run)
        finally:
            # Who asked for a listing meanwhile has to wait for the next one, which is due within a minute.
            while self.leases.release_listing(lease):
                continue

    # ── choosing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, found: Iterable[Failed], unknown: Mapping[str, str], live: Sequence[RunRecord]) -> Retry:
        passed_over = dict(unknown)
        held = self._keys_of(live)
        claimed = {run.claim.prefix for run in live if run.claim}
        chosen: dict[str, list[Failed]] = {}
        keys: set[str] = set()
        files = self.limits.files - sum(run.files for run in live)
        size, empty = self.limits.bytes - sum(run.bytes for run in live), not any(run.files for run in live)
        # What was retried least comes first: one that fails each time keeps no other version of its key from a turn.
        for failed in sorted(found, key=lambda one: (one.arrival.retry, one.arrival.modified, one.arrival.lies.key)):
            arrival = failed.arrival
            why = ""
            if not failed.dataset:
                why = "still no dataset claims its key: add one with its prefix, and deploy"
            elif arrival.key in held or any(arrival.key.startswith(prefix) for prefix in claimed):
                why = "a run is at work on a version of its key: retry it when that has ended"
            elif arrival.key in keys:
                why = "another version of its key goes first: retry it when that has ended"
            elif files <= 0 or (arrival.size > size and not empty):
                why = "the live runs hold as much as they may: retry it when they have ended"
            if why:
                passed_over[arrival.lies.key] = why
                continue
            keys.add(arrival.key)
            chosen.setdefault(failed.dataset, []).append(failed)
            files, size, empty = files - 1, size - arrival.size, False
        batches = group(
            {name: [failed.arrival for failed in part] for name, part in chosen.items()},
            {name: dataset.batch for name, dataset in self.datasets.items()},
            {},
        )
        planned = {arrival.id for batch in batches for arrival in batch.arrivals}
        files_of = [failed for part in chosen.values() for failed in part]
        for failed in files_of:
            if failed.arrival.id not in planned:
                passed_over[failed.arrival.lies.key] = "the run is full: retry it when that has ended"
        return Retry(batches, tuple(one for one in files_of if one.arrival.id in planned), passed_over)

    def _keys_of(self, live: Iterable[RunRecord]) -> set[str]:
        """The keys of which live runs work a version."""
        keys: set[str] = set()
        for run in live:
            with suppress(KeyError):  # Without a plan it can work none.
                document = self.store.get_json(plan_key(run.id))
                keys.update(arrival.key for arrival in Plan.from_json(document).arrivals)
        return keys

    def _find(self, wanted: Wanted) -> tuple[list[Failed], dict[str, str]]:
        """The files that are wanted, and why others can't be."""
        places = self._places()
        if wanted.keys:
            places = self._named(places, wanted.keys)
        with ThreadPoolExecutor(_READERS) as pool:
            read = list(pool.map(self._read, places))
        failed = [one for one in read if isinstance(one, Failed)]
        unknown = {place.arrival.key: one for place, one in zip(places, read, strict=True) if isinstance(one, str)}
        incoming = {key for key in wanted.keys if not key.startswith(FAILED) and "/" in key}
        if wanted.keys:
            by_id = set(wanted.keys)
            failed = [
                one
                for one in failed
                if one.arrival.key in incoming or one.arrival.id in by_id or one.arrival.lies.key in by_id
            ]
            unknown = {key: why for key, why in unknown.items() if key in by_id}
            known = {name for one in failed for name in (one.arrival.key, one.arrival.id, one.arrival.lies.key)}
            if strangers := [key for key in wanted.keys if key not in known | unknown.keys()]:
                raise PermanentError(
                    f"no file in failed/ is or was {', '.join(strangers)}. Name it as it lies in failed/, as it came "
                    "in incoming/, or by its arrival's id; penstock retry --all-failed --dry-run lists them"
                )
        if wanted.dataset:
            failed = [one for one in failed if one.dataset == wanted.dataset]
            unknown = {key: why for key, why in unknown.items() if key.startswith(f"{FAILED}{wanted.dataset}/")}
        return failed, unknown

    def _places(self) -> list[_Place]:
        """The files in `failed/`, without what lies beside them, each with all of its versions."""
        shown = set(self.store.keys(FAILED))
        versions: dict[str, list[Arrival]] = {}
        for version in self.store.arrivals(FAILED):
            if version.key in shown:
                versions.setdefault(version.key, []).append(version)
        companions = {beside(key, ending) for key in versions if is_settled(key) for ending in (REASON, REJECTS)}
        return [
            _Place(found[-1], Location(key, tuple(one.version_id for one in found)))
            for key, found in versions.items()
            if key not in companions
            and is_settled(key)
            and (beside(key, REASON) in shown or not key.endswith((REASON, REJECTS)))
        ]

    def _named(self, places: Sequence[_Place], keys: Iterable[str]) -> list[_Place]:
        """Those that can be among `keys`; which they are, the reason beside an incoming key's file has to say."""
        wanted = set(keys)
        names = {key.rpartition("/")[2] for key in wanted if not key.startswith(FAILED)}
        return [
            place
            for place in places
            if place.arrival.key in wanted
            or arrival_id_of(place.arrival.key) in wanted
            or any(place.arrival.key.endswith(f"-{name}") for name in names)
            or "-~" in place.arrival.key
        ]

    def _read(self, place: _Place) -> Failed | str:
        """The file with the identity that the reason beside it keeps; else why it can't be retried."""
        failed = place.arrival
        try:
            reason = self.store.get_json(beside(failed.key, REASON))
        except KeyError:
            return "the reason beside it is gone, and with it which file it was: put it into incoming/ anew"
        arrival = Arrival(
            bucket=failed.bucket,
            key=reason["key"],
            version_id=reason["version_id"],
            size=failed.size,
            etag=reason.get("etag", failed.etag),
            modified=datetime.fromisoformat(reason["modified"]) if "modified" in reason else failed.modified,
            location=place.location,
            retry=int(reason.get("retry", 0)) + 1,
        )
        dataset = dataset_of(self.datasets, arrival.key)
        return Failed(arrival, dataset.name if dataset else "", str(reason["reason"]))


@dataclass(frozen=True, slots=True)
class _Place:
    """A file as it lies in `failed/`, its newest version, and where all of them are."""

    arrival: Arrival
    location: Location
