"""Whatever comes late, whoever watches, at once with another or dying over it: each episode is told, and its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock
from tests.fakes.counts import FakeCounts
from tests.fakes.watches import FakeNotices, FakeWatches

from penstock.flows.watch_rate import TELLING, watch_rate
from penstock.model.episodes import Notice, Watch
from penstock.model.rates import Rate

TEN = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class DiedError(Exception):
    pass


@dataclass
class Troubles:
    """Before each write and each notice: 1 dies, 2 has another watch meanwhile; after it 3 dies."""

    left: list[int]
    meanwhile: Callable[[], None] = lambda: None

    def befall(self, what: Callable[[], bool | None]) -> bool | None:
        trouble = self.left.pop() if self.left else 0
        if trouble == 1:
            raise DiedError
        if trouble == 2:
            self.meanwhile()
        done = what()
        if trouble == 3:
            raise DiedError
        return done


class TroubledWatches(FakeWatches):
    def __init__(self, troubles: Troubles) -> None:
        super().__init__()
        self._troubles = troubles

    def write(self, rate: str, watch: Watch) -> bool:
        return bool(self._troubles.befall(lambda: FakeWatches.write(self, rate, watch)))


class TroubledNotices(FakeNotices):
    def __init__(self, troubles: Troubles) -> None:
        super().__init__()
        self._troubles = troubles

    def tell(self, notice: Notice) -> None:
        self._troubles.befall(lambda: self.told.append(notice))


def expected(series: list[int], rate: Rate) -> list[str]:
    """Another way to say what an episode is: runs of windows of a kind, joined over fewer usual ones than `calm`."""
    verdicts = [rate.judge(events, []) for events in series]
    told: list[str] = []
    going = ""
    for verdict, run in groupby(verdicts):
        length = len(list(run))
        if verdict == "usual":
            if going and length >= rate.calm:
                told.append("all clear")
                going = ""
        elif verdict != going:
            told += ["all clear", verdict] if going else [verdict]
            going = verdict
    return told


@settings(max_examples=150, deadline=None)
@given(
    series=st.lists(st.sampled_from([0, 3, 5, 9, 20]), max_size=25),
    window=st.integers(1, 3),
    late=st.lists(st.integers(0, 3), max_size=25),
    calm=st.integers(1, 3),
    watching=st.lists(st.booleans(), max_size=90),
    troubles=st.lists(st.sampled_from([0, 0, 1, 2, 3]), max_size=40),
)
def test_each_episode_is_told_and_so_is_its_end(
    series: list[int], window: int, late: list[int], calm: int, watching: list[bool], troubles: list[int]
) -> None:
    rate = Rate(
        name="r", type="t", window=window * MINUTE, late=3 * MINUTE, at_most=9, at_least=5, past=100 * MINUTE, calm=calm
    )
    suffers = Troubles(troubles)
    died = any(trouble in (1, 3) for trouble in troubles)
    counts, clock = FakeCounts(), FakeClock(TEN)
    watches, notices = TroubledWatches(suffers), TroubledNotices(suffers)
    watches.watches["r"] = Watch(judged=rate.begin(TEN))
    begin = rate.begin(TEN)

    def watch() -> None:
        watch_rate(counts, watches, notices, clock, [rate], clock.now())

    suffers.meanwhile = watch
    for minute in range(len(series) * window + 4):
        clock.at = begin + minute * MINUTE
        for number, events in enumerate(series):
            # The last minute's events come after it by what they are late, at most as long as the rate waits.
            at = begin + (number + 1) * rate.window - MINUTE
            if clock.at == at + MINUTE + (late[number] if number < len(late) else 0) * MINUTE:
                counts.tallies["t", at, "shard-1"] += events
        if minute >= len(watching) or watching[minute]:
            with suppress(DiedError):
                watch()
    suffers.left.clear()
    clock.advance(TELLING)
    judged = (clock.at - rate.late - begin) // rate.window
    watch()
    watch()

    told = [notice for place, notice in enumerate(notices.told) if notice not in notices.told[:place]]
    assert [notice.what for notice in told] == expected(series + [0] * (judged - len(series)), rate)
    assert died or told == notices.told, "told twice, and nobody died"
    ends = [notice.episode for notice in told if notice.what == "all clear"]
    assert len(set(ends)) == len(ends)
