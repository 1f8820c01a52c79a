"""What is written beside a file that failed, or that lost rows: its rejects, and why it is where it is."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from penstock.model.arrivals import FAILED, MAX_KEY_BYTES, Arrival, settled_key
from penstock.model.datasets import Dataset
from penstock.model.outcomes import IndexOutcome, LoadOutcome, Reject
from penstock.ports import ObjectStore, Warehouse

REJECTS = ".rejects.jsonl"
REASON = ".reason.json"


def companion_key(arrival: Arrival, dataset: str, prefix: str, ending: str) -> str:
    """The failed key and `ending`; where that is too long for S3, the arrival's id alone carries the ending."""
    key = settled_key(FAILED, dataset, prefix, arrival) + ending
    return key if len(key.encode()) <= MAX_KEY_BYTES else f"{FAILED}{dataset}/{arrival.id}{ending}"


def write_reason(store: ObjectStore, arrival: Arrival, dataset: str, prefix: str, plan: str, reason: str) -> None:
    """One JSON document: which arrival, from which run, and why."""
    document = {
        "arrival": arrival.id,
        "key": arrival.key,
        "version_id": arrival.version_id,
        "dataset": dataset,
        "run": plan,
        "reason": reason,
    }
    store.put_json(companion_key(arrival, dataset, prefix, REASON), document)


def write_rejects(
    store: ObjectStore,
    warehouse: Warehouse | None,
    dataset: Dataset,
    arrival: Arrival,
    load: LoadOutcome | None,
    indexed: IndexOutcome | None,
) -> None:
    """JSON Lines, a reject each: the warehouse's, then those of the index that are not among them. None: no object.

    This is the one place for a row's text.
    """
    of_index = indexed.rejects if indexed else ()
    of_load = bool(load and load.rejects and warehouse)
    if not of_load and not of_index:
        return
    lines = _lines(warehouse if of_load else None, dataset, arrival, of_index)
    store.put_lines(companion_key(arrival, dataset.name, dataset.prefix, REJECTS), lines)


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
