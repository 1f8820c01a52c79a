"""What `ObjectStore` promises, of the fake and of S3 (MiniStack)."""

from __future__ import annotations

import os
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.s3 import S3ObjectStore
from penstock.model.arrivals import PROCESSED, Arrival, settled_key
from penstock.model.errors import PermanentError
from penstock.model.streams import SeekableStream
from penstock.ports import Move, ObjectStore

ODD_KEYS = {
    "spaces": "incoming/d/a file  name .csv",
    "plus": "incoming/d/a+b.csv",
    "percent": "incoming/d/a%2Fb%20c%.csv",
    "quotes": "incoming/d/a'b\"c`d.csv",
    "ampersand and brackets": "incoming/d/a&b<c>d.csv",
    "query": "incoming/d/a?versionId=x&b=c#d.csv",
    "NFC": unicodedata.normalize("NFC", "incoming/d/é.csv"),
    "NFD": unicodedata.normalize("NFD", "incoming/d/é.csv"),
    "beyond the BMP": "incoming/d/\N{OCTOPUS}.csv",
    "newline": "incoming/d/a\nb.csv",
    "dots": "incoming/d/a/../b/./c..csv",
    "double slash": "incoming/d//a.csv",
    "1,024 bytes": "incoming/d/" + "x" * (1024 - len("incoming/d/")),
}


@dataclass
class Bucket:
    """A store and what stands outside of it: producers, and someone who looks."""

    store: ObjectStore
    put: Callable[[str, bytes], None]
    delete: Callable[[str], None]
    content: Callable[[str], bytes]


@pytest.fixture(params=["fake", "s3"])
def there(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "fake":
        fake = FakeObjectStore()
        return Bucket(fake, lambda key, data: _nothing(fake.put(key, data)), fake.delete, fake.content)
    client: Any = request.getfixturevalue("s3")
    name: str = request.getfixturevalue("bucket")
    return Bucket(
        S3ObjectStore(client, name),
        lambda key, data: _nothing(client.put_object(Bucket=name, Key=key, Body=data)),
        lambda key: _nothing(client.delete_object(Bucket=name, Key=key)),
        lambda key: bytes(client.get_object(Bucket=name, Key=key)["Body"].read()),
    )


def _nothing(_: object) -> None:
    return None


def listed(there: Bucket, prefix: str = "incoming/") -> list[Arrival]:
    return list(there.store.arrivals(prefix))


def read(there: Bucket, arrival: Arrival, size: int = 7) -> bytes:
    with there.store.open(arrival) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


def test_a_version_is_read_from_anywhere_and_to_its_end(there: Bucket) -> None:
    there.put("incoming/a", b"0123456789")
    [arrival] = listed(there)
    there.put("incoming/a", b"another version")

    with there.store.open(arrival) as stream:
        assert isinstance(stream, SeekableStream)
        assert stream.read(2) == b"01"
        assert (stream.seek(-4, os.SEEK_END), stream.read(2), stream.tell()) == (6, b"67", 8)
        assert (stream.read(100), stream.read(1)) == (b"89", b"")
        assert (stream.seek(3), stream.read(3)) == (3, b"345")
        assert (stream.seek(0, os.SEEK_END), stream.read(1)) == (10, b"")


# ── arrivals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_are_listed_in_ascending_order_and_the_versions_of_one_oldest_first(there: Bucket) -> None:
    for key in ("incoming/b", "incoming/a", "incoming/b", "incoming/ab", "incoming/b", "other/c"):
        there.put(key, key.encode())
    there.put("incoming/b", b"the fourth")

    found = listed(there)

    assert [arrival.key for arrival in found] == [
        "incoming/a",
        "incoming/ab",
        "incoming/b",
        "incoming/b",
        "incoming/b",
        "incoming/b",
    ]
    assert [read(there, arrival) for arrival in found[2:]] == [b"incoming/b"] * 3 + [b"the fourth"]
    assert len({arrival.id for arrival in found}) == 6


def test_versions_that_span_pages_stay_in_order(there: Bucket) -> None:
    there.put("incoming/a", b"before")
    for version in range(2100):
        there.put("incoming/m", b"%04d" % version)
    there.put("incoming/z", b"after")

    found = listed(there)

    assert [arrival.key for arrival in found] == ["incoming/a"] + ["incoming/m"] * 2100 + ["incoming/z"]
    numbers = [0, 1, 98, 99, 100, 101, 1098, 1099, 1100, 1101, 2099]
    assert [read(there, found[number + 1]) for number in numbers] == [b"%04d" % number for number in numbers]


@pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
def test_a_listing_goes_on_after_a_key_without_any_of_its_versions(there: Bucket, key: str) -> None:
    for name in ("incoming/a", key, key, "incoming/zz", "incoming/zz"):
        there.put(name, b"1")

    after = [arrival.key for arrival in there.store.arrivals("incoming/", key)]

    assert after == ["incoming/zz", "incoming/zz"]


def test_an_arrival_tells_size_etag_and_when_it_was_put(there: Bucket) -> None:
    there.put("incoming/a", b"hello")

    (arrival,) = listed(there)

    assert arrival.size == 5
    assert arrival.etag == "5d41402abc4b2a76b9719d911017c592"
    assert arrival.modified.tzinfo is not None


def test_a_plain_delete_withdraws_nothing(there: Bucket) -> None:
    there.put("incoming/a", b"one")
    there.delete("incoming/a")
    there.put("incoming/a", b"two")
    there.delete("incoming/a")

    assert [read(there, arrival) for arrival in listed(there)] == [b"one", b"two"]


def test_directory_objects_are_passed_over_and_full_ones_that_end_in_a_slash_are_not(there: Bucket) -> None:
    there.put("incoming/folder/", b"")
    there.put("incoming/odd/", b"content")
    there.put("incoming/empty.csv", b"")

    assert [arrival.key for arrival in listed(there)] == ["incoming/empty.csv", "incoming/odd/"]


def test_an_empty_prefix_lists_nothing(there: Bucket) -> None:
    assert listed(there) == []


# ── open ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_version_is_read_though_it_was_overwritten_and_hidden(there: Bucket) -> None:
    there.put("incoming/a", b"first")
    (first,) = listed(there)
    there.put("incoming/a", b"second")
    there.delete("incoming/a")

    assert read(there, first) == b"first"


def test_reading_goes_on_in_pieces_to_the_end_and_stays_there(there: Bucket) -> None:
    there.put("incoming/a", bytes(range(256)) * 1000)
    (arrival,) = listed(there)

    with there.store.open(arrival) as stream:
        data = b"".join(iter(lambda: stream.read(10_000), b""))
        again = stream.read(10)

    assert data == bytes(range(256)) * 1000
    assert again == b""


def test_an_empty_file_is_at_its_end_at_once(there: Bucket) -> None:
    there.put("incoming/a", b"")
    (arrival,) = listed(there)

    assert read(there, arrival) == b""


def test_opening_a_version_that_is_gone_is_a_permanent_error(there: Bucket) -> None:
    there.put("incoming/a", b"x")
    (arrival,) = listed(there)
    there.store.move([Move(arrival, "processed/a")])

    with pytest.raises(PermanentError), there.store.open(arrival) as stream:
        stream.read(1)


# ── move ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_moved_is_whole_at_its_new_key_and_gone_from_the_old(there: Bucket) -> None:
    for number in range(40):
        there.put(f"incoming/{number:02d}", b"content %d" % number)
    arrivals = listed(there)

    refused = there.store.move([Move(arrival, f"processed/{arrival.key}") for arrival in arrivals])

    assert not refused
    assert listed(there) == []
    assert [there.content(f"processed/{arrival.key}") for arrival in arrivals] == [
        b"content %d" % number for number in range(40)
    ]


def test_a_move_takes_one_version_and_leaves_its_neighbours(there: Bucket) -> None:
    for content in (b"one", b"two", b"three"):
        there.put("incoming/a", content)
    one, two, three = listed(there)

    there.store.move([Move(two, "processed/two")])

    assert listed(there) == [one, three]
    assert there.content("processed/two") == b"two"
    assert there.content("incoming/a") == b"three"


def test_moving_the_newest_version_brings_the_one_before_it_to_light_and_loses_neither(there: Bucket) -> None:
    there.put("incoming/a", b"old")
    there.put("incoming/a", b"new")
    old, new = listed(there)

    there.store.move([Move(new, "processed/new")])

    assert listed(there) == [old]


def test_moving_twice_changes_nothing(there: Bucket) -> None:
    there.put("incoming/a", b"content")
    (arrival,) = listed(there)
    move = Move(arrival, "processed/a")

    there.store.move([move])
    there.store.move([move])

    assert list(there.store.keys("")) == ["processed/a"]
    assert there.content("processed/a") == b"content"


def test_a_copy_is_of_that_version_and_leaves_it_where_it_is(there: Bucket) -> None:
    there.put("incoming/d/a.csv", b"first")
    (first,) = listed(there)
    there.put("incoming/d/a.csv", b"second")

    for _ in range(2):
        there.store.copy([Move(first, "plans/copies/a")])

    assert there.content("plans/copies/a") == b"first"
    assert [read(there, arrival) for arrival in listed(there)] == [b"first", b"second"]
    with pytest.raises(PermanentError):
        there.store.copy([Move(replace(first, version_id="gone"), "plans/copies/b")])


def test_a_version_that_is_gone_with_no_target_is_told_and_holds_up_no_other(there: Bucket) -> None:
    there.put("incoming/a", b"a")
    there.put("incoming/b", b"b")
    a, b = listed(there)
    gone = replace(a, version_id=a.version_id[:-1] + ("0" if a.version_id[-1] != "0" else "1"))

    refused = there.store.move([Move(gone, "processed/gone"), Move(b, "processed/b")])

    assert refused.keys() == {gone.id}
    assert "incoming/a" in refused[gone.id]
    assert listed(there) == [a]
    assert there.content("processed/b") == b"b"


def test_a_target_of_another_size_does_not_pass_for_the_moved_file(there: Bucket) -> None:
    there.put("incoming/a", b"content")
    (arrival,) = listed(there)
    there.store.move([Move(arrival, "processed/elsewhere")])
    there.put("processed/a", b"something else")

    assert there.store.move([Move(arrival, "processed/a")]).keys() == {arrival.id}


def test_moving_nothing_is_nothing(there: Bucket) -> None:
    there.store.move([])


def test_more_files_than_one_request_deletes_are_moved(there: Bucket) -> None:
    for number in range(1003):
        there.put(f"incoming/{number:04d}", b"")
    arrivals = listed(there)

    there.store.move([Move(arrival, f"processed/{arrival.id}") for arrival in arrivals])

    assert listed(there) == []
    assert len(list(there.store.keys("processed/"))) == 1003


@pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
def test_odd_keys_are_listed_read_and_moved(there: Bucket, key: str) -> None:
    there.put(key, b"content")

    (arrival,) = listed(there)
    content = read(there, arrival)
    target = settled_key(PROCESSED, "d", "d/", arrival)
    there.store.move([Move(arrival, target)])
    there.store.move([Move(arrival, target)])

    assert arrival.key == key
    assert content == b"content"
    assert listed(there) == []
    assert list(there.store.keys("processed/")) == [target]
    assert there.content(target) == b"content"


def test_two_normal_forms_of_one_name_are_two_files(there: Bucket) -> None:
    there.put(ODD_KEYS["NFC"], b"composed")
    there.put(ODD_KEYS["NFD"], b"decomposed")

    found = listed(there)

    assert {read(there, arrival) for arrival in found} == {b"composed", b"decomposed"}
    assert len({arrival.id for arrival in found}) == 2


# ── Penstock's own documents ────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_comes_back_as_it_was_written_and_the_last_one_wins(there: Bucket) -> None:
    there.store.put_json("plans/p/plan.json", {"n": 1})
    there.store.put_json("plans/p/plan.json", {"n": [1, 2.5, None, "ü\n"]})

    assert there.store.get_json("plans/p/plan.json") == {"n": [1, 2.5, None, "ü\n"]}


def test_a_document_that_is_not_there_is_a_key_error(there: Bucket) -> None:
    with pytest.raises(KeyError):
        there.store.get_json("plans/none.json")


def test_lines_are_written_each_with_a_newline(there: Bucket) -> None:
    there.store.put_lines("failed/a.rejects.jsonl", iter([b"one", b"", b"three"]))

    assert there.content("failed/a.rejects.jsonl") == b"one\n\nthree\n"


def test_no_lines_are_an_empty_object(there: Bucket) -> None:
    there.store.put_lines("failed/a", iter([]))

    assert there.content("failed/a") == b""


def test_many_lines_arrive_in_order(there: Bucket) -> None:
    line = b"x" * 999_999

    there.store.put_lines("failed/a", (b"%d" % number + line for number in range(30)))

    assert there.content("failed/a") == b"".join(b"%d" % number + line + b"\n" for number in range(30))


@pytest.mark.parametrize("before", [0, 20])
def test_lines_that_break_off_leave_no_object(there: Bucket, before: int) -> None:
    def lines() -> Iterator[bytes]:
        for _ in range(before):
            yield b"x" * 1_000_000
        raise PermanentError("the ledger is gone")

    with pytest.raises(PermanentError, match="the ledger is gone"):
        there.store.put_lines("failed/a", lines())

    assert list(there.store.keys("")) == []


def test_keys_are_listed_ascending_without_hidden_ones(there: Bucket) -> None:
    for key in ("plans/b", "plans/a", "plans/c", "other"):
        there.put(key, b"x")
    there.delete("plans/c")

    assert list(there.store.keys("plans/")) == ["plans/a", "plans/b"]


def test_objects_are_listed_with_their_size_and_time_as_they_are_now(there: Bucket) -> None:
    there.put("processed/d/a.csv", b"old")
    there.put("processed/d/a.csv", b"newer")
    there.put("processed/d/b.csv", b"hidden")
    there.delete("processed/d/b.csv")
    there.put("processed/e/a.csv", b"")

    found = list(there.store.objects("processed/d/"))

    assert [(one.key, one.size) for one in found] == [("processed/d/a.csv", 5)]
    assert found[0].modified.tzinfo is not None
    assert [one.key for one in there.store.objects("processed/")] == ["processed/d/a.csv", "processed/e/a.csv"]
    assert [one.key for one in there.store.objects("processed/", "processed/d/a.csv")] == ["processed/e/a.csv"]


def test_lines_are_read_back_without_their_newlines(there: Bucket) -> None:
    there.store.put_lines("failed/a.rejects.jsonl", iter([b"one", b"x" * 200_000, b"three"]))
    there.store.put_lines("failed/none", iter([]))

    assert list(there.store.lines("failed/a.rejects.jsonl")) == [b"one", b"x" * 200_000, b"three"]
    assert list(there.store.lines("failed/none")) == []


def test_lines_of_an_object_that_is_not_there_are_a_key_error(there: Bucket) -> None:
    with pytest.raises(KeyError):
        list(there.store.lines("failed/a.rejects.jsonl"))


def test_documents_are_read_from_many_threads_at_once(there: Bucket) -> None:
    for number in range(20):
        there.store.put_json(f"plans/{number}", number)
    found: dict[int, Any] = {}

    threads = [
        threading.Thread(target=lambda n=number: found.update({n: there.store.get_json(f"plans/{n}")}))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {number: number for number in range(20)}
