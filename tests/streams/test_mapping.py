"""The model keeps the rules that its docstrings name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.streams.kinesis import Record, Stream
from tests.streams.mapping import EventSourceMapping, FunctionFailedError, NotInvokedError, Settings

Answer = Callable[[list[str]], object]
SECOND = timedelta(seconds=1)


class Function:
    """Notes the keys of each batch; `answer` says what comes of it."""

    def __init__(self, answer: Answer = lambda _keys: None) -> None:
        self.batches: list[str] = []
        self.answer = answer

    def __call__(self, event: dict[str, Any]) -> object:
        self.sequences = {one["kinesis"]["partitionKey"]: one["kinesis"]["sequenceNumber"] for one in event["Records"]}
        keys = [one["kinesis"]["partitionKey"] for one in event["Records"]]
        self.batches.append("".join(keys))
        return self.answer(keys)

    def failing_at(self, *keys: str) -> dict[str, object]:
        return {"batchItemFailures": [{"itemIdentifier": self.sequences[key]} for key in keys]}


class Bench:
    def __init__(self, keys: str = "abcdefgh", shards: int = 1) -> None:
        self.clock = FakeClock()
        self.stream = Stream(shards)
        self.function = Function()
        self.discarded: list[tuple[str, str]] = []
        self.told: list[Any] = []
        self.put(keys)

    def put(self, keys: str) -> None:
        for key in keys:
            self.stream.put(key, key.encode(), self.clock.now())

    def map(self, settings: Settings) -> EventSourceMapping:
        return EventSourceMapping(self.stream, settings, self.function, self.clock.now, self._discard)

    def run(self, settings: Settings, steps: int = 50) -> list[str]:
        mapping = self.map(settings)
        for _ in range(steps):
            if not (ready := mapping.ready()):
                break
            mapping.step(ready[-1])  # The youngest shard, as long as it is let.
        return self.function.batches

    def _discard(self, told: Any, records: Sequence[Record]) -> None:
        self.told.append(told)
        self.discarded.append((told["requestContext"]["condition"], "".join(record.key for record in records)))


def refuses(*poison: str) -> Answer:
    def answer(keys: list[str]) -> object:
        if set(poison) & set(keys):
            raise FunctionFailedError
        return None

    return answer


def test_batches_have_the_size_and_come_in_order() -> None:
    assert Bench().run(Settings(batch_size=3)) == ["abc", "def", "gh"]


def test_a_batch_ends_at_its_bytes() -> None:
    assert Bench("abc").run(Settings(batch_bytes=8)) == ["ab", "c"]


def test_a_window_waits_unless_the_batch_is_full() -> None:
    bench = Bench("ab")
    mapping = bench.map(Settings(batch_size=3, window=5 * SECOND))

    assert not mapping.ready()
    bench.put("c")
    assert mapping.ready()
    mapping.step(mapping.ready()[0])
    bench.put("d")
    assert not mapping.ready()
    bench.clock.advance(5 * SECOND)
    assert mapping.ready()


def test_one_batch_of_a_shard_is_in_flight() -> None:
    bench = Bench("ab")
    mapping = bench.map(Settings(batch_size=1))
    bench.function.answer = lambda _keys: seen.append(mapping.ready())
    seen: list[object] = []

    mapping.step(mapping.ready()[0])

    assert seen == [[]]


def test_several_are_with_a_parallelization_factor_and_a_key_keeps_to_its_lane() -> None:
    bench = Bench("abcdefgh" * 3)
    mapping = bench.map(Settings(batch_size=100, parallelization=3))

    lanes = mapping.ready()
    assert len(lanes) == 3
    for lane in lanes:
        mapping.step(lane)

    keys = [set(batch) for batch in bench.function.batches]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 8


def test_a_failed_batch_is_retried_as_a_whole_and_holds_its_shard() -> None:
    bench = Bench("abcd")
    bench.function.answer = refuses("a")

    assert bench.run(Settings(batch_size=2), steps=5) == ["ab"] * 5
    assert not bench.discarded


def test_retries_end_and_the_whole_batch_is_discarded() -> None:
    bench = Bench("abcd")
    bench.function.answer = refuses("a")

    assert bench.run(Settings(batch_size=2, retries=2)) == ["ab", "ab", "ab", "cd"]
    assert bench.discarded == [("RetryAttemptsExhausted", "ab")]


def test_what_is_too_old_is_discarded_and_the_younger_goes_on() -> None:
    bench = Bench("ab")
    bench.clock.advance(10 * SECOND)
    bench.put("c")

    assert bench.run(Settings(age=5 * SECOND)) == ["c"]
    assert bench.discarded == [("RecordAgeExceeded", "ab")]


def test_a_throttled_function_uses_up_no_retry() -> None:
    bench = Bench("ab")
    tries = iter([NotInvokedError] * 9)

    def answer(_keys: list[str]) -> None:
        if refusal := next(tries, None):
            raise refusal

    bench.function.answer = answer

    assert bench.run(Settings(retries=0)) == ["ab"] * 10
    assert not bench.discarded


def test_bisecting_leaves_the_poison_alone_and_uses_up_no_retry() -> None:
    bench = Bench("abcdefgh")
    bench.function.answer = refuses("c")

    assert bench.run(Settings(retries=1, bisect=True)) == ["abcdefgh", "abcd", "ab", "cd", "c", "c", "d", "efgh"]
    assert bench.discarded == [("RetryAttemptsExhausted", "c")]


def test_the_lowest_sequence_number_is_the_checkpoint() -> None:
    bench = Bench("abcd")
    failing = iter(["db"])
    bench.function.answer = lambda _keys: bench.function.failing_at(*next(failing, ""))

    assert bench.run(Settings(report_failures=True)) == ["abcd", "bcd"]


def test_with_bisect_an_answer_splits_at_its_checkpoint() -> None:
    bench = Bench("abcdef")
    failing = iter("cc")
    bench.function.answer = lambda _keys: bench.function.failing_at(*next(failing, ""))

    assert bench.run(Settings(report_failures=True, bisect=True)) == ["abcdef", "cdef", "cd", "ef"]


def test_retries_end_for_all_that_is_left_after_the_checkpoint() -> None:
    bench = Bench("abcd")
    bench.function.answer = lambda keys: bench.function.failing_at("c") if "c" in keys else None

    assert bench.run(Settings(report_failures=True, retries=1)) == ["abcd", "cd"]
    assert bench.discarded == [("RetryAttemptsExhausted", "cd")]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "fine"])
def test_an_empty_answer_is_a_success(answer: object) -> None:
    bench = Bench("ab")
    bench.function.answer = lambda _keys: answer

    assert bench.run(Settings(report_failures=True)) == ["ab"]


@pytest.mark.parametrize(
    "item", [{"itemIdentifier": ""}, {"itemIdentifier": None}, {"id": "1"}, {"itemIdentifier": "1"}]
)
def test_an_answer_that_names_nothing_is_a_failure_of_the_whole_batch(item: dict[str, object]) -> None:
    bench = Bench("ab")
    bench.function.answer = lambda _keys: {"batchItemFailures": [item]}

    assert bench.run(Settings(report_failures=True, retries=1)) == ["ab", "ab"]


def test_an_answer_counts_only_with_its_setting() -> None:
    bench = Bench("ab")
    bench.function.answer = lambda _keys: bench.function.failing_at("a")

    assert bench.run(Settings()) == ["ab"]


def test_the_destination_is_told_where_records_are_and_nothing_of_them() -> None:
    bench = Bench("ab")
    bench.function.answer = refuses("a")

    bench.run(Settings(retries=0))

    first, last = bench.stream.shards["shardId-000000000000"].records
    info = bench.told[0]["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (str(first.sequence), str(last.sequence))
    assert (info["shardId"], info["batchSize"]) == ("shardId-000000000000", 2)
    assert info["approximateArrivalOfFirstRecord"] == "2026-01-15T10:00:00.000Z"
    assert bench.told[0]["requestContext"]["approximateInvokeCount"] == 1


def test_a_filter_passes_what_is_not_wanted() -> None:
    bench = Bench("abcd")

    assert bench.run(Settings(wanted=lambda data: data in b"bd")) == ["bd"]


def test_children_wait_for_their_parents_through_splits_and_merges() -> None:
    bench = Bench("ab")
    bench.stream.split(bench.stream.open()[0])
    bench.put("abcd")
    bench.stream.merge(*bench.stream.neighbours()[0])
    bench.put("ef")

    batches = bench.run(Settings(batch_size=2))

    assert batches[0] == "ab"
    assert batches[-1] == "ef"
    assert sorted("".join(batches[1:-1])) == list("abcd")


def test_where_a_mapping_starts() -> None:
    bench = Bench("ab")
    bench.clock.advance(10 * SECOND)
    bench.put("cd")
    later = bench.clock.now()

    assert bench.run(Settings()) == ["abcd"]
    assert bench.run(Settings(start="AT_TIMESTAMP", start_at=later))[1:] == ["cd"]
    latest = bench.map(Settings(start="LATEST"))
    bench.put("e")
    bench.stream.split(bench.stream.open()[0])
    bench.put("f")
    while ready := latest.ready():
        latest.step(ready[0])
    assert bench.function.batches[2:] == ["e", "f"]


def test_what_expired_is_not_delivered() -> None:
    bench = Bench("ab")
    bench.clock.advance(10 * SECOND)
    bench.put("c")
    bench.stream.expire(bench.clock.now(), 5 * SECOND)

    assert bench.run(Settings()) == ["c"]


def test_an_invocation_that_was_given_up_on_answers_nobody() -> None:
    bench = Bench("ab")
    mapping = bench.map(Settings(retries=0))
    (lane,) = mapping.ready()
    bench.function.answer = lambda _keys: mapping.give_up(lane)

    mapping.step(lane)

    assert bench.discarded == [("RetryAttemptsExhausted", "ab")]
    assert mapping.is_done()
