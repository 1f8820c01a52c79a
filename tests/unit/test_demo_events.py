"""The demo's events are the flights of a week, each once, and what is sent besides; and how far they are counted."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime, timedelta

import pytest

from penstock.local.demo.departures import CANCELLED, DAYS, LATEST, STORM, Sending, sendings
from penstock.local.demo.files import demo_files
from penstock.local.demo.replay import counted_upto
from penstock.model.stream_events import EventFields, Poison, StreamEvent, StreamRecord, events_of
from penstock.producer import encode

TEN = datetime(2013, 2, 8, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sent() -> list[Sending]:
    return sendings(demo_files(DAYS))


def read(one: Sending) -> StreamEvent | Poison:
    [(_, found)] = events_of(StreamRecord("1", encode(one.event).line), EventFields())
    return found


def test_each_flight_of_the_week_is_an_event_and_the_day_of_the_storm_is_in_it(sent: list[Sending]) -> None:
    flights = [one for one in sent if one.counts]

    assert len({one.event["event_id"] for one in flights}) == len(flights) == 6_104
    hours = Counter(one.event["at"][:13] for one in flights if one.type == CANCELLED)
    assert min(hour for hour, cancelled in hours.items() if cancelled > 20) == f"{STORM}T19"


def test_they_are_sent_in_time_or_late_and_are_what_they_are_said_to_be(sent: list[Sending]) -> None:
    kinds = Counter(one.what for one in sent)

    assert min(kinds["late"], kinds["repeat"]) > 200
    assert kinds["poison"] > 5
    assert [one.due for one in sent] == sorted(one.due for one in sent)
    for one in sent:
        found = read(one)
        assert isinstance(found, Poison) == (one.what == "poison")
        if one.counts:
            assert found == StreamEvent(one.event["event_id"], one.type, found.minute)  # type: ignore[union-attr] # It is no Poison.
            at = datetime.fromisoformat(one.event["at"])
            assert (at == one.due) == (one.what == "in time")
            assert at <= one.due <= at + LATEST


def test_a_repeat_comes_after_what_it_repeats(sent: list[Sending]) -> None:
    known: set[str] = set()

    for one in sent:
        if one.what == "repeat":
            assert one.event["event_id"] in known
        known.add(one.event["event_id"])


def test_it_is_counted_up_to_where_each_type_has_as_many_as_were_sent() -> None:
    looks = [(TEN + timedelta(hours=hour), Counter({"UA": hour, "AA": 2 * hour})) for hour in range(1, 5)]
    waiting = deque(looks)

    def counted(united: int, american: int) -> datetime | None:
        return counted_upto({"UA": {TEN: united}, "AA": {TEN: american - 1, LATEST + TEN: 1}}, waiting)

    assert counted(0, 8) is None
    assert counted(3, 5) == TEN + timedelta(hours=2)
    assert counted(3, 5) is None
    assert counted(4, 8) == TEN + timedelta(hours=4)
    assert not waiting
