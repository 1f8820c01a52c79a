"""What must be true at rest, judged from what was put alone: Python's csv module, and no code of Penstock's."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.schedules.producers import DATASETS, POISON
from tests.faults.schedules.world import MOST_ATTEMPTS, ViolationError, World

Row = tuple[str, str]

GIVEN_UP = "Given up after"
UNINDEXED = "Its rows are loaded, its documents are not complete"


@dataclass(slots=True)
class Expected:
    """Of one arrival."""

    folder: str
    loaded: bool = False
    """It is in the table, or, without one, in the index; not replaced since."""
    was_loaded: bool = False
    root: str = "failed"
    rows: list[Row] = field(default_factory=list)
    rejects: int = 0
    unindexed: bool = False


def check(world: World) -> None:
    """Raises ViolationError."""
    settled = _places(world)
    expected = _expected(world, settled)
    for arrival, content in world.puts:
        one, (key, there) = expected[arrival.id], settled[arrival.id]
        _hold(there == content, f"{key}: the bytes of {arrival.key} changed")
        _hold(key.startswith(f"{one.root}/"), f"{arrival.key} {arrival.version_id} is at {key}, not in {one.root}/")
    for name, dataset in DATASETS.items():
        here = {id_: one for id_, one in expected.items() if one.folder == name}
        if dataset.table:
            _rows(world, name, here)
        if dataset.index:
            _documents(world, name, here)
    _leases(world)
    _rejects(world, expected)


def parsed(content: bytes) -> tuple[list[Row], int] | None:
    """The valid rows and how many others; None when the file as a whole can't be read."""
    try:
        lines = list(csv.reader(io.StringIO(content.decode()), strict=True))
    except csv.Error:
        return None
    if not lines or lines[0] != ["id", "name"]:
        return None
    valid = [(row[0], row[1]) for row in lines[1:] if row[0].isdigit()]
    return valid, len(lines) - 1 - len(valid)


def _places(world: World) -> dict[str, tuple[str, bytes]]:
    """Invariant 1: each arrival's one key."""
    found: dict[str, tuple[str, bytes]] = {}
    for root in ("processed/", "failed/"):
        for key, content in world.store.everything(root).items():
            if key.endswith((".reason.json", ".rejects.jsonl")):
                continue
            id_ = key.rpartition("/")[2][:32]
            _hold(id_ not in found, f"{id_} is in two places: {found.get(id_)} and {key}")
            found[id_] = (key, content)
    for arrival, _ in world.puts:
        _hold(arrival.id in found, f"{arrival.key} {arrival.version_id} ({arrival.id[:6]}) is lost")
    _hold(len(found) == len(world.puts), "there is more than was put")
    left = [key for key, versions in world.store._versions.items() if key.startswith("incoming/") and versions]
    _hold(not left, f"left in incoming/: {left}")
    return found


def _expected(world: World, settled: dict[str, tuple[str, bytes]]) -> dict[str, Expected]:
    """Versions of a key one after the other, as they were put."""
    found: dict[str, Expected] = {}
    there: dict[str, list[tuple[bytes, Expected]]] = {}
    for arrival, content in world.puts:
        folder = arrival.key.split("/")[1]
        one = found[arrival.id] = Expected(folder)
        dataset = DATASETS.get(folder)
        reason = _reason(world, settled[arrival.id][0])
        if reason.startswith(GIVEN_UP) or (dataset and not dataset.table and _failed_for_index(world, reason)):
            _given_up(world, arrival.id)
            continue
        _hold(POISON not in content or not (dataset and dataset.table) or _is_duplicate(content, arrival.key, there),
              f"{arrival.key} kills its workers, and was not given up")  # fmt: skip
        file = parsed(content)
        if dataset is None or file is None:
            continue
        rows, rejects = file
        earlier = there.setdefault(arrival.key, []) if dataset.table else []
        if any(content == other for other, _ in earlier):
            one.root = "processed"
            continue
        if earlier and dataset.on_overwrite == "refuse":
            continue
        if rejects > dataset.max_reject_ratio * (len(rows) + rejects):
            continue
        if dataset.on_overwrite == "replace":
            for _, replaced in earlier:
                replaced.loaded = False
            earlier.clear()
        one.unindexed = reason.startswith(UNINDEXED)
        if one.unindexed:
            _given_up(world, arrival.id)
        one.loaded = one.was_loaded = True
        one.root = "failed" if one.unindexed else "processed"
        one.rows, one.rejects = rows, rejects
        earlier.append((content, one))
    return found


def _is_duplicate(content: bytes, key: str, there: dict[str, list[tuple[bytes, Expected]]]) -> bool:
    return any(content == other for other, _ in there.get(key, []))


def _failed_for_index(world: World, reason: str) -> bool:
    """Of an index-only dataset: it was no fault of its rows."""
    return bool(reason) and "rows were rejected" not in reason and ":" in reason and "Error" in reason


def _given_up(world: World, arrival: str) -> None:
    tried = world.leases.attempts.get(arrival, 0)
    _hold(tried >= MOST_ATTEMPTS - 1, f"{arrival[:6]} was given up after {tried} attempts")


def _reason(world: World, key: str) -> str:
    if not key.startswith("failed/"):
        return ""
    document: dict[str, Any] = json.loads(world.store.content(f"{key}.reason.json"))
    return str(document["reason"])


def _wanted(world: World, name: str, expected: dict[str, Expected]) -> Counter[tuple[str, Row]]:
    """The rows of the table, each with its arrival."""
    rows = [(arrival, row) for arrival, _ in world.puts if arrival.id in expected
            for row in expected[arrival.id].rows if expected[arrival.id].loaded]  # fmt: skip
    if not DATASETS[name].row_key:
        return Counter((arrival.id, row) for arrival, row in rows)
    if DATASETS[name].event_id:
        return _events(world, name, {(arrival.id, row) for arrival, row in rows})
    # Of a key the greatest `name`, which is a digit; of equals the later put, then the later in its file.
    newest = {row[0]: (arrival.id, row) for arrival, row in sorted(rows, key=lambda one: (one[1][1], one[0].modified))}
    return Counter(newest.values())


def _events(world: World, name: str, rows: set[tuple[str, Row]]) -> Counter[tuple[str, Row]]:
    """Each event once, by whichever of its rows came first: that is for the table to say."""
    found = Counter(world.bench.rows(DATASETS[name]))
    wanted = Counter({row[0]: 1 for _, row in rows})
    ids = Counter(row[0] for _, row in found.elements())
    _hold(ids == wanted, f"events of {name}: {dict(ids)}, not {dict(wanted)}")
    _hold(found.keys() <= rows, f"rows of {name} are in no file: {_shown(found - Counter(rows))}")
    return found


def _rows(world: World, name: str, expected: dict[str, Expected]) -> None:
    """Invariants 2 and 3."""
    found = Counter(world.bench.rows(DATASETS[name]))
    wanted = _wanted(world, name, expected)
    _hold(not (missing := wanted - found), f"rows of {name} are missing: {_shown(missing)}")
    _hold(not (extra := found - wanted), f"rows of {name} are too many: {_shown(extra)}")
    arrivals = [arrival for arrival, _ in world.puts if arrival.id in expected]
    ledger = world.bench.raw().outcomes(DATASETS[name], arrivals)
    for arrival in arrivals:
        one = expected[arrival.id]
        _hold(arrival.id in ledger, f"the ledger knows nothing of {arrival.key} {arrival.version_id}")
        if one.was_loaded:
            of_ledger = ledger[arrival.id]
            counted = (of_ledger.rows + of_ledger.repeats, of_ledger.rejects)
            _hold(counted == (len(one.rows), one.rejects), f"{arrival.key}: the ledger counts {counted}")
            if DATASETS[name].event_id:
                there = sum(count for (id_, _), count in found.items() if id_ == arrival.id)
                _hold(of_ledger.rows == there, f"{arrival.key}: the ledger counts {of_ledger.rows} rows of {there}")


def _documents(world: World, name: str, expected: dict[str, Expected]) -> None:
    """Invariant 4: documents are the loaded rows."""
    dataset = DATASETS[name]
    documents = list(world.search.documents.get(name, {}).values())
    if dataset.table is None and dataset.index and dataset.index.id_columns:
        _newest(world, name, expected, {str(one["id"]): one["name"] for one in documents})
    elif dataset.table is None:
        # By content: the same bytes put again make the same documents, which carry the last one's id.
        keys = {arrival.id: (arrival.key, content) for arrival, content in world.puts}
        contents = {keys[id_]: one.rows for id_, one in expected.items() if one.loaded}
        wanted = Counter(row for rows in contents.values() for row in rows)
        _same(name, Counter((str(one["id"]), one["name"]) for one in documents), wanted)
    else:
        # Of a file whose documents could not be completed, and which says so, any may be there; by key, no others.
        loose = {id_ for id_, one in expected.items() if one.unindexed and one.loaded}
        keyed = bool(dataset.index and dataset.index.id_columns)
        taken = {row[0] for id_ in loose if keyed for row in expected[id_].rows}

        def strict(arrival: str, row: Row) -> bool:
            return arrival not in loose and row[0] not in taken

        found_by = Counter((one["penstock_arrival"], (str(one["id"]), one["name"])) for one in documents)
        wanted_by = _wanted(world, name, expected)
        _same(
            name,
            Counter({at: count for at, count in found_by.items() if strict(*at)}),
            Counter({at: count for at, count in wanted_by.items() if strict(*at)}),
        )


def _newest(world: World, name: str, expected: dict[str, Expected], found: dict[str, str]) -> None:
    """Of each key the row of the file that came last. One that was refused may have taken older ones with it."""
    wanted: dict[str, str] = {}
    taken: set[str] = set()
    for arrival, content in world.puts:
        one = expected.get(arrival.id)
        if one and one.loaded:
            wanted.update(one.rows)
            taken -= dict(one.rows).keys()
        elif one:
            taken |= dict((parsed(content) or ([], 0))[0]).keys()
    for id_, value in wanted.items():
        there = found.pop(id_, None)
        _hold(there == value or (there is None and id_ in taken), f"document {id_} of {name}: {there}, not {value}")
    _hold(not found, f"documents of {name} are too many: {found}")


def _same(name: str, found: Counter[Any], wanted: Counter[Any]) -> None:
    _hold(not (missing := wanted - found), f"documents of {name} are missing: {_shown(missing)}")
    _hold(not (extra := found - wanted), f"documents of {name} are too many: {_shown(extra)}")


def _leases(world: World) -> None:
    _hold(not world.leases.live_runs(), "a run is live for ever")
    _hold(not world.leases.waiting(), f"attempts are remembered of what is settled: {world.leases.waiting()}")
    for arrival, attempts in world.leases.attempts.items():
        _hold(attempts <= 2 * MOST_ATTEMPTS, f"{attempts} attempts on {arrival[:6]}")


def _rejects(world: World, expected: dict[str, Expected]) -> None:
    """Invariant 3, for who mends a file: the lines that were not loaded lie beside the failed key."""
    for key, content in world.store.everything("failed/").items():
        if key.endswith(".rejects.jsonl"):
            one = expected[key.rpartition("/")[2][:32]]
            if one.was_loaded:
                _hold(
                    len(content.splitlines()) == one.rejects,
                    f"{key}: {len(content.splitlines())} rejects where {one.rejects} are: {content!r}",
                )


def _shown(counted: Counter[Any]) -> str:
    return ", ".join(f"{count} of {one}" for one, count in list(counted.items())[:3])


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ViolationError(otherwise)
