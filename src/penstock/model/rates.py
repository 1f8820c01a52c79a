"""How many events of a type are usual: `datasets/rates/<name>.yaml`, one for each type that is watched."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import sqrt
from statistics import median
from typing import Annotated, Literal

from pydantic import Field, model_validator

from penstock.model.datasets import Name
from penstock.model.declared import Declared, MisplacedError
from penstock.model.durations import Duration
from penstock.model.stream_events import LONGEST_TYPE

LEAST_PAST = 8
"""Windows without which the past says nothing of what is unusual."""

MOST_PAST = 1_000

_MINUTE = timedelta(minutes=1)
_MAD_OF_A_DEVIATION = 0.6745
"""A normal distribution's median absolute deviation, in standard deviations."""

Verdict = Literal["high", "low", "usual"]


class Rate(Declared):
    """`datasets/rates/<name>.yaml`."""

    name: Name = Field(description="The rate's name; also the file's.")
    type: Annotated[str, Field(min_length=1, max_length=LONGEST_TYPE)] = Field(
        description="The type of the events that are counted, as the events say it."
    )
    window: Duration = Field(timedelta(minutes=5), description="How long events are counted for, in whole minutes.")
    late: Duration = Field(
        timedelta(minutes=2),
        description="How long after a window's end its last events are waited for: then it is judged, once.",
    )
    at_most: int | None = Field(None, ge=0, description="More events in a window are high.")
    at_least: int | None = Field(None, ge=0, description="Fewer events in a window are low; 1 rings when none comes.")
    unusual: float | None = Field(
        None,
        gt=0,
        description="So many deviations from the median of the windows before it make a window high or low; 6 is much.",
    )
    past: Duration = Field(timedelta(hours=2), description="How far back these windows go, for `unusual`.")
    calm: int = Field(3, ge=1, le=100, description="Usual windows in a row after which it is all clear.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Rate:
        if self.window % _MINUTE:
            raise MisplacedError("is no whole minutes, and events are counted by the minute", "window")
        if self.at_most is None and self.at_least is None and self.unusual is None:
            raise MisplacedError("says nothing to ring at: give it at_most, at_least or unusual", "name")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise MisplacedError("is more than at_most, so that every window would be unusual", "at_least")
        if self.unusual is not None and self.past < LEAST_PAST * self.window:
            raise MisplacedError(f"is less than {LEAST_PAST} windows, which say nothing of what is unusual", "past")
        if self.past > MOST_PAST * self.window:
            raise MisplacedError(f"is more than {MOST_PAST} windows, and each is read whenever one is judged", "past")
        return self

    def begin(self, at: datetime) -> datetime:
        """Of the window that `at` is in. Windows begin with midnight, UTC, of the first of January 1970."""
        return at - timedelta(seconds=at.timestamp() % self.window.total_seconds())

    def judge(self, events: int, past: list[int]) -> Verdict:
        """`past`: the windows before it, without those from before the type's first event."""
        if self.at_most is not None and events > self.at_most:
            return "high"
        if self.at_least is not None and events < self.at_least:
            return "low"
        if self.unusual is not None and len(past) >= LEAST_PAST:
            deviations = deviations_from(past, events)
            if abs(deviations) > self.unusual:
                return "high" if deviations > 0 else "low"
        return "usual"


def deviations_from(past: list[int], events: int) -> float:
    """The robust z-score: from the median, in median absolute deviations brought to the scale of standard deviations.

    At least what pure chance does, the root of the median, and at least one event: a past that was even would make each
    event more an alarm.
    """
    middle = median(past)
    spread = median(abs(one - middle) for one in past) / _MAD_OF_A_DEVIATION
    return (events - middle) / max(spread, sqrt(middle), 1.0)
