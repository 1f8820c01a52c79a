"""An episode: a rate is high, or low, until it has been usual for a while. Told once when it begins and once after."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Literal

from penstock.model.rates import Rate, Verdict


@dataclass(frozen=True, slots=True)
class Notice:
    """`episode` is the same in what tells of its beginning and of its end, and however often either is told."""

    episode: str
    what: Literal["high", "low", "all clear"]
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Episode:
    id: str
    kind: Literal["high", "low"]
    usual: int = 0
    """Usual windows in a row by now."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of a rate. `version` grows with every write."""

    judged: datetime | None = None
    """The end of the last window that was judged."""
    episode: Episode | None = None
    untold: tuple[Notice, ...] = ()
    telling_until: datetime | None = None
    """Whoever wrote `untold` is telling it. Past this time he has died over it, and another does."""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    begin: datetime
    end: datetime
    events: int
    past: list[int]


def after(watch: Watch, rate: Rate, window: Window) -> Watch:
    """What is known once that window is judged, with what is to be told of it."""
    verdict = rate.judge(window.events, window.past)
    episode, untold = watch.episode, list(watch.untold)
    if episode and verdict == "usual" and episode.usual + 1 < rate.calm:
        episode = replace(episode, usual=episode.usual + 1)
    elif episode and verdict == episode.kind:
        episode = replace(episode, usual=0)
    elif episode:
        untold.append(_all_clear(episode, rate, window))
        episode = None
    if episode is None and verdict != "usual":
        episode = Episode(f"{rate.name}/{verdict}/{_text(window.begin)}", verdict)
        untold.append(_alarm(episode, rate, window, verdict))
    return replace(watch, judged=window.end, episode=episode, untold=tuple(untold))


def _alarm(episode: Episode, rate: Rate, window: Window, verdict: Verdict) -> Notice:
    text = (
        f"{_found(rate, window)} What to do: if the events are right, nothing; if they are not, see their producer. "
        f"`datasets/rates/{rate.name}.yaml` says what is {verdict}. There is one more message of this episode, when "
        f"{rate.calm} windows in a row were usual. Episode: {episode.id}"
    )
    return Notice(episode.id, episode.kind, f"Penstock: {rate.name} is {episode.kind}", text)


def _all_clear(episode: Episode, rate: Rate, window: Window) -> Notice:
    text = f"{_found(rate, window)} It is {episode.kind} no more. Episode: {episode.id}"
    return Notice(episode.id, "all clear", f"Penstock: {rate.name} is {episode.kind} no more", text)


def _found(rate: Rate, window: Window) -> str:
    bounds = [
        f"at most {rate.at_most}" if rate.at_most is not None else "",
        f"at least {rate.at_least}" if rate.at_least is not None else "",
        f"the {len(window.past)} windows before it have a median of {median(window.past):g}" if window.past else "",
    ]
    known = ", ".join(bound for bound in bounds if bound)
    return (
        f"{window.events} events of type {rate.type} from {_text(window.begin)} to {_text(window.end)}"
        f"{f' ({known})' if known else ''}."
    )


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")
