"""What would make a forecast cheaper: each knob turned by itself, and all computed anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.local.coming import MONTH, Files
from penstock.local.stack_template import StackTemplate
from penstock.model.limits import Flush

_WORTH = 0.01
"""Of the whole: what saves less is no lever."""
_MOST = 5

_PARAMETERS = (
    ("Architecture", "arm64", "which wants Python 3.12 or later"),
    ("MinSecondsBetweenRuns", "60", "a file waits a minute longer at most"),
    ("MinSecondsBetweenRuns", "300", "a file waits five minutes longer at most"),
    ("StreamWindowSeconds", "10", "events are counted ten seconds later"),
    ("StreamDedupeMinutes", "0", "what a producer sends twice counts twice"),
    ("ArchiveSeconds", "900", "events are in the warehouse a quarter of an hour later"),
    ("ArchivePartition", "", "a folder holds all events"),
    ("MessagesWindowSeconds", "300", "messages are in the warehouse five minutes later"),
    ("Messages", "standard", "messages keep no order"),
)


@dataclass(frozen=True)
class Lever:
    knob: str
    saves: float
    """Dollars a month."""
    price: str
    """What it costs instead."""


def levers(
    files: Files,
    stack: StackTemplate,
    shards: int,
    dollars: float,
    forecast: Callable[[Files, Mapping[str, str]], float],
) -> Sequence[Lever]:
    """The best first, one of each knob. `forecast` says what files cost with some parameters changed.

    `shards` are those that the events want.
    """
    found: dict[str, Lever] = {}
    for knob, other, changed, price in _turned(files, stack, shards):
        saves = dollars - forecast(other, changed)
        known = found.get(knob.partition("=")[0])
        # Of one knob the gentler setting, unless the other saves much more.
        if saves > _WORTH * dollars and (known is None or saves > known.saves + _WORTH * 5 * dollars):
            found[knob.partition("=")[0]] = Lever(knob, saves, price)
    return sorted(found.values(), key=lambda lever: -lever.saves)[:_MOST]


def _turned(files: Files, stack: StackTemplate, shards: int) -> Iterator[tuple[str, Files, Mapping[str, str], str]]:
    known = stack.parameters
    for name, value, price in _PARAMETERS:
        longer = value.isdigit() and value != "0" and float(known[name]) >= float(value)
        if not longer and known[name] not in (value, "none"):
            yield f"{name}={value}", files, {name: value}, price
    if known["Stream"] == "on-demand":
        changed = {"Stream": "provisioned", "StreamShards": str(shards)}
        yield f"Stream=provisioned, StreamShards={shards}", files, changed, "it does not grow by itself"
    if files.a_month:
        if files.flush is None:
            later = replace(files, flush=Flush(files=10_000, bytes=2**40))
            yield "flush: {after: 5m} of the dataset", later, {}, "a file waits five minutes at most"
        if files.most_files < 1000 and files.a_month > MONTH / 60:
            larger = replace(files, most_files=min(1000, files.most_files * 4))
            yield f"batch: {{max_files: {larger.most_files}}}", larger, {}, "more is tried again when one file fails"
