"""Builds a dataset's table anew from `processed/`, the master dataset, beside the live one.

The new table has a ledger of its own, so an arrival is loaded into it once, however often the replay is stopped and
run again. Arrivals keep their identity: the key in `processed/` carries their id, and so the rows of both tables can be
told apart file by file. They are loaded in the order in which the live ledger decided them, so that of two versions of
a key the same one is left in the end. One batch is held at a time; of each file about half a kilobyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.flows.planning import group
from penstock.model.arrivals import INCOMING, PROCESSED, Arrival, Location, arrival_id_of, is_settled
from penstock.model.datasets import Dataset, Table
from penstock.model.errors import PermanentError
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch
from penstock.model.replays import Comparison, Known
from penstock.ports import Clock, ObjectStore, Rebuild, Warehouse


@dataclass(frozen=True, slots=True)
class Window:
    """Which arrivals: those that S3 took at or after `since` and before `until`."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(slots=True)
class Loaded:
    """What a replay has loaded by now. `before` were loaded by an earlier call; `refused` have reasons, by key."""

    files: int = 0
    before: int = 0
    rows: int = 0
    rejects: int = 0
    duplicates: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "loaded_before": self.before,
            "rows": self.rows,
            "rejects": self.rejects,
            "duplicates": self.duplicates,
            "refused": [{"key": key, "reason": reason} for key, reason in self.refused.items()],
        }


def rebuilt_dataset(dataset: Dataset, into: str, taken: Iterable[Dataset]) -> Dataset:
    """The dataset with the table that it is rebuilt into: `into`, or the live table's name and `_replay`.

    Raises PermanentError when it has no table, or `into` is a dataset's own.
    """
    if dataset.table is None:
        raise PermanentError(f"dataset {dataset.name} has no table to rebuild; its index follows from its files alone")
    schema, dot, name = into.rpartition(".")
    try:
        table = Table.model_validate(
            {
                "schema": schema if dot else dataset.table.schema_name,
                "name": name or f"{dataset.table.name[:56]}_replay",
            }
        )
    except ValueError:
        raise PermanentError(
            f"--into {into}: a table's name is lower case letters, digits and _, as flights_2"
        ) from None
    if owner := next((one.name for one in taken if one.table == table), None):
        raise PermanentError(f"--into {table.qualified} is the table of dataset {owner}. Name one that is none's")
    return dataset.model_copy(update={"table": table})


def replayed(store: ObjectStore, ledger: Iterable[Known], dataset: Dataset, window: Window) -> list[Arrival]:
    """What lies in `processed/` of the dataset, as the arrivals that it was, in the order of the live ledger.

    `ledger` is what `Rebuild.known` says; without a table it is empty.
    """
    known = {one.arrival: one for one in ledger}
    shown = set(store.keys(f"{PROCESSED}{dataset.name}/"))
    newest: dict[str, Arrival] = {}
    for version in store.arrivals(f"{PROCESSED}{dataset.name}/"):
        if version.key in shown and is_settled(version.key):
            newest[version.key] = version  # The newest of a key comes last.
    found = [_arrival(version, dataset, known) for version in newest.values()]
    return [arrival for _, arrival in sorted(found, key=_order) if window.has(arrival.modified)]


def batches_of(dataset: Dataset, arrivals: Sequence[Arrival]) -> tuple[Batch, ...]:
    return group({dataset.name: arrivals}, {dataset.name: dataset.batch}, {}, most=len(arrivals))


def load_again(
    store: ObjectStore,
    warehouse: Warehouse,
    rebuilt: Dataset,
    batches: Iterable[Batch],
    tell: Callable[[Loaded], None] = lambda _: None,
) -> Loaded:
    """Loads them in order; what an earlier call has decided is passed over. `tell` hears after each batch."""
    done = Loaded()
    for batch in batches:
        before = warehouse.outcomes(rebuilt, batch.arrivals)
        if len(before) < len(batch.arrivals):
            progress = warehouse.begin(batch, rebuilt, store)
            while progress.running:
                progress = warehouse.poll(batch, rebuilt, progress.handle)
        outcomes = warehouse.outcomes(rebuilt, batch.arrivals)
        for arrival in batch.arrivals:
            outcome = outcomes[arrival.id]
            done.files += 1
            done.before += arrival.id in before
            done.rows += outcome.rows
            done.rejects += outcome.rejects if outcome.verdict is Verdict.LOADED else 0
            done.duplicates += outcome.verdict is Verdict.DUPLICATE
            if outcome.verdict is Verdict.QUARANTINED:
                done.refused[arrival.lies.key] = outcome.reason
        tell(done)
    return done


def swap(
    rebuild: Rebuild, clock: Clock, live: Dataset, rebuilt: Dataset, found: Comparison, *, accept_differences: bool
) -> str:
    """The name under which the live table is kept. Raises PermanentError when they differ and that isn't accepted."""
    if not found.equal and not accept_differences:
        raise PermanentError(
            f"the rebuilt table differs from the live one: {found.differing} files have other rows, and {found.beyond} "
            "files of the live table were not replayed. Nothing was swapped. If that is what you want, say "
            "--accept-differences"
        )
    if live.table and rebuilt.table and live.table.schema_name != rebuilt.table.schema_name:
        raise PermanentError(
            f"a swap renames, and {rebuilt.table.qualified} is in another schema than {live.table.qualified}. Replay "
            f"--into {live.table.schema_name}.…"
        )
    return rebuild.swap(live, rebuilt, clock.now())


def _arrival(version: Arrival, dataset: Dataset, known: Mapping[str, Known]) -> tuple[datetime, Arrival]:
    """When it was decided, and the arrival. A ledger that is lost leaves what the key says, and when it was moved."""
    id_ = arrival_id_of(version.key)
    location = Location(version.key, (version.version_id,))
    if one := known.get(id_):
        arrival = Arrival(version.bucket, one.key, one.version_id, version.size, one.etag, one.modified, location)
        return one.decided, arrival
    folder, slash, name = version.key.removeprefix(f"{PROCESSED}{dataset.name}/").rpartition("/")
    key = f"{INCOMING}{dataset.prefix}{folder}{slash}{name.removeprefix(f'{id_}-')}"
    arrival = Arrival(version.bucket, key, "", version.size, version.etag, version.modified, location)
    return version.modified, arrival


def _order(entry: tuple[datetime, Arrival]) -> tuple[datetime, datetime, str]:
    decided, arrival = entry
    return decided, arrival.modified, arrival.lies.key
