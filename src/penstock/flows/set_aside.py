"""What is written beside a file that failed, or that lost rows: its rejects, and why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from penstock.model.arrivals import FAILED, MAX_KEY_BYTES, Arrival, arrival_id_of, settled_key
from penstock.model.datasets import Dataset
from penstock.model.outcomes import IndexOutcome, LoadOutcome, Reject
from penstock.ports import ObjectStore, Warehouse

REJECTS = ".rejects.jsonl"
REASON = ".reason.json"


def companion_key(arrival: Arrival, dataset: str, prefix: str, ending: str) -> str:
    """The failed key and `ending`; where that is too long for S3, the arrival's id alone carries the ending."""
    return beside(settled_key(FAILED, dataset, prefix, arrival), ending)


def beside(failed: str, ending: str) -> str:
    """The same, of a key below `failed/`."""
    if len((failed + ending).encode()) <= MAX_KEY_BYTES:
        return failed + ending
    return f"{FAILED}{failed.split('/')[1]}/{arrival_id_of(failed)}{ending}"


def write_reason(store: ObjectStore, arrival: Arrival, dataset: str, prefix: str, plan: str, reason: str) -> None:
    """One JSON document: which arrival, from which run, and why; of one that was retried, also how it fared before."""
    _put_reason(store, companion_key(arrival, dataset, prefix, REASON), arrival, dataset, plan, reason)


def write_reason_where_it_lies(store: ObjectStore, arrival: Arrival, plan: str, reason: str) -> None:
    """Of an arrival that was retried and stays in `failed/` where it is."""
    failed = arrival.lies.key
    _put_reason(store, beside(failed, REASON), arrival, failed.split("/")[1], plan, reason)


def leave_history(store: ObjectStore, arrival: Arrival, plan: str, settled: str, rejects: str) -> None:
    """After a retry: what lies beside the arrival's old place says what holds from now on. Done twice it is the same.

    A reason says where its file has gone, and stays as history; rejects that are none any more are emptied. Neither is
    deleted: no role may delete anything but a version that it has moved. `rejects` is the key of those that hold.
    """
    if arrival.location is None:
        return
    old = beside(arrival.location.key, REJECTS)
    if old != rejects and old in set(store.keys(old)):
        store.put_lines(old, ())
    if settled == arrival.location.key:
        return
    key = beside(arrival.location.key, REASON)
    try:
        document = store.get_json(key)
    except KeyError:
        return
    store.put_json(key, {**document, "settled": settled, "settled_by": plan})


def _put_reason(store: ObjectStore, key: str, arrival: Arrival, dataset: str, plan: str, reason: str) -> None:
    document = {
        "arrival": arrival.id,
        "key": arrival.key,
        "version_id": arrival.version_id,
        "size": arrival.size,
        "etag": arrival.etag,
        "modified": arrival.modified.isoformat(),
        "dataset": dataset,
        "run": plan,
        "reason": reason,
        "retry": arrival.retry,
        "history": _history(store, arrival, plan),
    }
    store.put_json(key, document)


def _history(store: ObjectStore, arrival: Arrival, plan: str) -> list[dict[str, Any]]:
    """The reasons of earlier runs, the oldest first."""
    if arrival.location is None:
        return []
    try:
        before = store.get_json(beside(arrival.location.key, REASON))
    except KeyError:
        return []
    history: list[dict[str, Any]] = before.get("history", [])
    if before["run"] == plan:  # This very run's, written before it died.
        return history
    return [*history, {name: before[name] for name in ("run", "dataset", "reason")}]


def write_rejects(
    store: ObjectStore,
    warehouse: Warehouse | None,
    dataset: Dataset,
    arrival: Arrival,
    load: LoadOutcome | None,
    indexed: IndexOutcome | None,
) -> str:
    """JSON Lines, a reject each: the warehouse's, then those of the index that are not among them. None: no object.

    This is the one place for a row's text. The key that they were written to, or nothing.
    """
    of_index = indexed.rejects if indexed else ()
    of_load = bool(load and load.rejects and warehouse)
    if not of_load and not of_index:
        return ""
    lines = _lines(warehouse if of_load else None, dataset, arrival, of_index)
    key = companion_key(arrival, dataset.name, dataset.prefix, REJECTS)
    store.put_lines(key, lines)
    return key


def _lines(
    warehouse: Warehouse | None, dataset: Dataset, arrival: Arrival, of_index: tuple[Reject, ...]
) -> Iterator[bytes]:
    seen: set[int] = set()
    for reject in warehouse.rejects(dataset, arrival) if warehouse else ():
        seen.add(reject.line)
        yield _line(arrival, "warehouse", reject)
    for reject in of_index:
        if reject.line not in seen:
            yield _line(arrival, "search", reject)


def _line(arrival: Arrival, by: str, reject: Reject) -> bytes:
    return orjson.dumps({"file": arrival.key, "by": by, **reject.to_json()})
