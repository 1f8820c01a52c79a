"""When a breaker opens, lets a probe through and waits longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from penstock.model.breakers import Breaker, tripped
from penstock.model.errors import DestinationDownError, down_in

NOW = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def opened() -> Breaker:
    return tripped(None, "warehouse", "first", NOW, "connection refused")


def test_an_open_breaker_lets_nothing_through_before_its_pause_is_over() -> None:
    breaker = opened()

    assert not breaker.lets_one_through(NOW + 29 * SECOND, live=())
    assert breaker.lets_one_through(NOW + 30 * SECOND, live=())


def test_one_probe_goes_on_at_a_time_however_long_it_takes() -> None:
    probed = opened().probed_by("probe", NOW + 30 * SECOND)

    assert not probed.lets_one_through(NOW + 3600 * SECOND, live={"probe"})
    assert not probed.lets_one_through(NOW + 59 * SECOND, live=())  # It died without a word.
    assert probed.lets_one_through(NOW + 60 * SECOND, live=())


def test_each_probe_in_vain_doubles_the_pause_up_to_ten_minutes() -> None:
    breaker, now, pauses = opened(), NOW, []
    for number in range(8):
        now = breaker.probe_at
        breaker = tripped(breaker.probed_by(f"probe {number}", now), "warehouse", f"probe {number}", now, "refused")
        pauses.append(int((breaker.probe_at - now).total_seconds()))

    assert pauses == [60, 120, 240, 480, 600, 600, 600, 600]
    assert breaker.opened == NOW


def test_runs_that_began_before_it_opened_prolong_nothing() -> None:
    breaker = opened()

    assert tripped(breaker, "warehouse", "another run", NOW + SECOND, "connection refused") == breaker


def test_an_error_names_its_destination_also_as_text_and_no_other_text_does() -> None:
    error = DestinationDownError("search", "it answered 503")

    assert down_in(str(error)) == "search"
    assert down_in("a reason that quotes: the search is down: it answered 503") == ""
