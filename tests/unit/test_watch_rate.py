"""Windows are judged when their time has come, and an episode is told once, and once more when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.counts import FakeCounts
from tests.fakes.watches import FakeNotices, FakeWatches

from penstock.flows.watch_rate import TELLING, Watched, watch_rate
from penstock.model.episodes import Notice, Watch
from penstock.model.rates import Rate
from penstock.model.stream_events import Position

TEN = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOUNDS = Rate(name="flights", type="departure", window=5 * MINUTE, late=2 * MINUTE, at_most=100, at_least=10, calm=2)
PAST = Rate(name="flights", type="departure", window=MINUTE, late=MINUTE, unusual=6, past=20 * MINUTE, calm=1)


class Bench:
    def __init__(self, rate: Rate = BOUNDS) -> None:
        self.rate = rate
        self.counts, self.watches, self.notices, self.clock = FakeCounts(), FakeWatches(), FakeNotices(), FakeClock(TEN)
        self.watches.watches[rate.name] = Watch(judged=TEN)

    def count(self, at: datetime, events: int, shard: str = "shard-1") -> None:
        self.counts.tallies["departure", at, shard] += events

    def windows(self, series: Sequence[int], begin: datetime = TEN) -> None:
        for number, events in enumerate(series):
            self.count(begin + number * self.rate.window, events)

    def watch(self, at: datetime) -> Watched:
        self.clock.at = at
        return watch_rate(self.counts, self.watches, self.notices, self.clock, [self.rate], at)

    def told(self) -> list[tuple[str, str]]:
        return [(notice.what, notice.episode.rpartition("/")[2][11:16]) for notice in self.notices.told]


class DiedError(Exception):
    pass


class Dead(FakeNotices):
    def tell(self, notice: Notice) -> None:
        raise DiedError(notice.episode)


def test_a_window_is_judged_when_its_last_events_have_had_their_time() -> None:
    bench = Bench()
    bench.count(TEN, 101)

    assert bench.watch(TEN + 6 * MINUTE).windows == 0
    assert bench.watch(TEN + 7 * MINUTE) == Watched(windows=1, told=1, episodes=1)
    assert bench.watch(TEN + 8 * MINUTE) == Watched(windows=0, told=0, episodes=1)
    assert bench.told()[-1] == ("high", "10:00")


def test_a_type_that_is_watched_has_counts_of_its_own_though_there_is_no_room_for_more_types() -> None:
    bench = Bench()
    bench.counts.most_types = 1
    bench.watch(TEN)

    for place, kind in enumerate(("n1", "n2", "departure")):
        upto = Position(place, 1)
        bench.counts.add("shard-1", bench.counts.watermark("shard-1"), upto, {(kind, TEN): 101}, [], None)

    assert bench.watch(TEN + 7 * MINUTE).told == 1
    assert bench.told() == [("high", "10:00")]


def test_the_first_window_that_is_judged_is_the_first_that_was_watched_whole() -> None:
    bench = Bench()
    bench.watches.watches.clear()

    assert bench.watch(TEN + 2 * MINUTE) == Watched()
    assert bench.watch(TEN + 9 * MINUTE) == Watched()
    assert bench.watch(TEN + 12 * MINUTE) == Watched(windows=1, told=1, episodes=1)
    assert bench.told() == [("low", "10:05")]


def test_a_late_event_counts_in_the_window_of_its_own_time_and_shards_are_added_up() -> None:
    bench = Bench()
    for shard in ("shard-1", "shard-2"):
        bench.count(TEN + 4 * MINUTE, 50, shard)
    bench.count(TEN + 4 * MINUTE, 1, "shard-3")
    bench.count(TEN + 5 * MINUTE, 50)

    bench.watch(TEN + 7 * MINUTE)

    assert ("high", "10:00") in bench.told()
    assert "101 events of type departure from 2026-01-15T10:00Z to 2026-01-15T10:05Z" in bench.notices.told[-1].text


def test_bounds_themselves_are_usual() -> None:
    bench = Bench()
    bench.windows([100, 10])

    bench.watch(TEN + 12 * MINUTE)

    assert bench.told() == []


def test_an_episode_is_told_once_and_its_end_once_after_usual_windows_in_a_row() -> None:
    bench = Bench()
    bench.windows([101, 200, 50, 300, 50, 50, 50])

    for minute in range(2, 50):
        bench.watch(TEN + minute * MINUTE)

    assert bench.told()[:2] == [("high", "10:00"), ("all clear", "10:00")]
    assert "to 2026-01-15T10:30Z" in bench.notices.told[1].text
    assert bench.told()[2] == ("low", "10:35")
    assert len({notice.episode for notice in bench.notices.told[:2]}) == 1


def test_what_was_high_and_is_low_is_another_episode() -> None:
    bench = Bench()
    bench.windows([101, 1])

    bench.watch(TEN + 12 * MINUTE)

    assert bench.told() == [("high", "10:00"), ("all clear", "10:00"), ("low", "10:05")]


def test_a_type_that_falls_silent_is_low() -> None:
    bench = Bench()
    bench.count(TEN - 5 * MINUTE, 50)

    bench.watch(TEN + 7 * MINUTE)

    assert bench.told() == [("low", "10:00")]


def test_minutes_in_which_nobody_watched_are_made_up_for() -> None:
    bench = Bench()
    bench.windows([101, 50, 50, 500, 50])

    watched = bench.watch(TEN + 27 * MINUTE)

    assert watched.windows == 5
    assert bench.told() == [("high", "10:00"), ("all clear", "10:00"), ("high", "10:15")]


@pytest.mark.parametrize(
    ("series", "last", "verdict"),
    [
        ([100, 102, 98, 101, 99, 103, 97, 100, 100], 165, "high"),
        ([100, 102, 98, 101, 99, 103, 97, 100, 100], 150, "usual"),
        ([100, 102, 98, 101, 99, 103, 97, 100, 100], 35, "low"),
        ([7] * 9, 8, "usual"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0], 500, "usual"),
        ([5, 400, 5, 400, 5, 400, 5, 400], 400, "usual"),
        ([50, 9_000, 50, 50, 51, 49, 50, 52, 50], 200, "high"),
        ([50] * 7, 9_000, "usual"),
    ],
    ids=[
        "far above",
        "above, and chance",
        "far below",
        "an even past allows for chance",
        "what was before the first event is no past",
        "a wide past allows for much",
        "one outlier widens nothing",
        "too short a past says nothing",
    ],
)
def test_a_window_is_held_against_the_windows_before_it(series: list[int], last: int, verdict: str) -> None:
    bench = Bench(PAST)
    bench.windows([*series, last], TEN - len(series) * MINUTE)

    bench.watch(TEN + 2 * MINUTE)

    assert [what for what, _ in bench.told()] == ([verdict] if verdict != "usual" else [])


def test_who_finds_something_untold_leaves_it_to_him_who_is_telling_until_he_must_be_dead() -> None:
    bench = Bench()
    bench.windows([101])

    bench.notices = Dead()
    with pytest.raises(DiedError):
        bench.watch(TEN + 7 * MINUTE)
    bench.notices = FakeNotices()

    bench.watch(TEN + 8 * MINUTE)
    assert bench.told() == []
    bench.watch(TEN + 7 * MINUTE + TELLING)
    assert bench.told() == [("high", "10:00")]
    bench.watch(TEN + 10 * MINUTE)
    assert bench.told() == [("high", "10:00")]
