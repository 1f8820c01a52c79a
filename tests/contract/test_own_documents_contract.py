"""Penstock's own documents, of the fake and of S3 (MiniStack): plans, reasons, and lines of rejects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.buckets import Bucket

from penstock.model.errors import PermanentError


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
