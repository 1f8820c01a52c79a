"""Loads that are repeated, broken off or run at once, on every real warehouse: each file once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.contract.redshift import BUCKET
from tests.contract.warehouses import CLEAN, CLEAN_ROWS, ON_REAL_ONES, Kit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.model.arrivals import Arrival
from penstock.model.errors import PermanentError, TransientError
from penstock.model.outcomes import Verdict
from penstock.model.streams import ByteStream

pytestmark = ON_REAL_ONES


class _Breaks(FakeObjectStore):
    """A store whose streams break off after so many bytes."""

    after = 20

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        with super().open(arrival) as stream:
            yield _Broken(stream, self.after)


class _Broken:
    def __init__(self, stream: ByteStream, after: int) -> None:
        self._stream = stream
        self._left = after

    def read(self, size: int, /) -> bytes:
        if not self._left:
            raise TransientError("the connection to S3 was reset")
        piece = self._stream.read(min(size, self._left))
        self._left -= len(piece)
        return piece


def test_beginning_again_changes_nothing(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    good = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    bad = store.put(f"incoming/{dataset.prefix}b.csv", b"nothing\n")
    first = load(kit.warehouse, dataset, store, good, bad)

    again = load(kit.another(), dataset, store, bad, good)

    assert again == first
    assert kit.rows(dataset) == CLEAN_ROWS


def test_batches_that_overlap_and_run_at_once_load_each_file_once(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    files = [store.put(f"incoming/{dataset.prefix}{number}.csv", CLEAN) for number in range(20)]
    clients = [kit.another() for _ in range(4)]
    start = threading.Barrier(len(clients))
    errors: list[Exception] = []

    def work(number: int) -> None:
        mine = files[number:] + files[:number]
        start.wait()
        try:
            load(clients[number], dataset, store, *mine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not errors
    assert sorted(kit.arrivals_of(dataset)) == sorted([file.id for file in files] * 3)


def test_a_stream_that_breaks_off_leaves_nothing_and_can_be_tried_again(kit: Kit) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    store = _Breaks(BUCKET)
    files = [store.put(f"incoming/{dataset.prefix}{number}.csv", CLEAN) for number in range(2)]
    with pytest.raises(TransientError, match="reset"):
        load(kit.warehouse, dataset, store, *files)
    assert kit.warehouse.outcomes(dataset, files) == {}
    assert kit.rows(dataset) == []

    store.after = 10_000
    outcomes = load(kit.warehouse, dataset, store, *files)

    assert [outcome.rows for outcome in outcomes.values()] == [3, 3]


def test_a_version_that_is_gone_is_set_aside_and_its_neighbour_loaded(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    there = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)
    gone = replace(there, version_id="gone", etag="e")

    outcomes = load(kit.warehouse, dataset, store, gone, there)

    assert outcomes[gone.id].verdict is Verdict.QUARANTINED
    assert outcomes[there.id].rows == 3


def test_when_no_version_can_be_read_the_error_is_not_the_files(kit: Kit, store: FakeObjectStore) -> None:
    dataset = dataset_of()
    kit.apply(dataset)
    gone = replace(store.put(f"incoming/{dataset.prefix}a.csv", CLEAN), version_id="gone")

    with pytest.raises(PermanentError, match="NoSuchVersion"):
        load(kit.warehouse, dataset, store, gone)

    assert kit.warehouse.outcomes(dataset, [gone]) == {}
