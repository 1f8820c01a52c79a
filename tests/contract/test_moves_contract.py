"""Moving and copying, of the fake and of S3 (MiniStack): that version, whole, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.contract.buckets import ODD_KEYS, Bucket, listed, read

from penstock.model.arrivals import PROCESSED, settled_key
from penstock.model.errors import PermanentError
from penstock.ports import Move


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
