"""A batch's small files are read ahead: all that is seen of it is that nobody waits for each one's first byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.read_ahead import read_ahead
from penstock.model.arrivals import Arrival
from penstock.model.errors import PermanentError
from penstock.model.streams import ByteStream
from penstock.ports import Move


class Store(FakeObjectStore):
    """Says which were opened, in that order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.begun = {number: Event() for number in range(20)}

    def files(self, count: int, size: int = 10) -> list[Arrival]:
        return [self.put(f"incoming/{number:02d}", bytes([number]) * size) for number in range(count)]

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        self.opened.append(arrival.key)
        self.begun[int(arrival.key[-2:])].set()
        with super().open(arrival) as stream:
            yield stream


def test_the_next_files_are_on_their_way_while_one_is_worked() -> None:
    store = Store()
    arrivals = store.files(20)

    with read_ahead(store, arrivals) as files, files.open(arrivals[0]) as stream:
        assert all(store.begun[number].wait(30) for number in range(9))
        assert stream.read(100) == bytes(10)

        assert not any(store.begun[number].is_set() for number in range(9, 20))


def test_each_is_read_once_and_gives_its_own_bytes() -> None:
    store = Store()
    arrivals = store.files(20)

    with read_ahead(store, arrivals) as files:
        for number, arrival in enumerate(arrivals):
            with files.open(arrival) as stream:
                assert stream.read(100) == bytes([number]) * 10

    assert sorted(store.opened) == [arrival.key for arrival in arrivals]


def test_a_file_that_is_not_small_is_not_held_in_memory() -> None:
    store = Store()
    arrivals = store.files(3, size=2**18 + 1)

    with read_ahead(store, arrivals) as files, files.open(arrivals[0]):
        pass

    assert store.opened == ["incoming/00"]


def test_what_goes_wrong_ahead_is_raised_where_the_file_is_opened_and_holds_up_no_other() -> None:
    store = Store()
    one, gone, last = store.files(3)
    store.move([Move(gone, "elsewhere")])

    with read_ahead(store, [one, gone, last]) as files:
        with files.open(one):
            pass
        with pytest.raises(PermanentError, match="incoming/01"), files.open(gone):
            pass
        with files.open(last) as stream:
            assert stream.read(100) == bytes([2]) * 10


def test_a_file_that_is_opened_again_is_read_again_from_its_beginning() -> None:
    store = Store()
    one, other = store.files(2)

    with read_ahead(store, [one, other]) as files:
        with files.open(one):
            pass
        for _ in range(2):
            with files.open(other) as stream:
                assert stream.read(100) == bytes([1]) * 10

    assert store.opened.count(other.key) == 2
