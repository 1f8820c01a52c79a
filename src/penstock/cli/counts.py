"""`penstock counts`: the events of the stream, by type and minute, as they are counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import LOCAL, AsJson, OnAws, StackName
from penstock.cli.screen import clock_time, count, emit, harmless, screen, table
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.ports.counts import Counts

_EVERY = 1.0
"""Seconds between two looks at counts that are watched."""
_BARS = " ▁▂▃▄▅▆▇█"
_WIDEST = 60
"""Columns of a type's bars."""

Found = Mapping[str, Mapping[datetime, int]]


def counts(
    types: Annotated[list[str] | None, typer.Argument(metavar="TYPE", help="Only these types. By default all.")] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From then on, as 2013-01-01T10:00Z. By default an hour ago.")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Up to this minute, without it. By default now.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", metavar="", help="Stay, and look every second.")] = False,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    as_json: AsJson = False,
) -> None:
    """Show how many events of the stream there were, by type and by the minute that the events themselves say.

    Each event counts once, and all shards are added up. An event that comes late counts in its own minute.

    [dim]$ penstock counts --watch
    $ penstock counts UA AA --since 2013-01-01T10:00Z --until 2013-01-01T12:00Z --json[/dim]
    """
    from penstock.adapters.clock import SystemClock
    from penstock.adapters.dynamodb_counts import DynamoCounts

    target = deployment(stack, aws=aws)
    name = target.outputs.get("CountsTable")
    if not name:
        raise PermanentError(f"stack {target.name} has no stream. Give it one: deploy with Stream=on-demand")
    from_, to = _time(since), _time(until)
    kept = DynamoCounts(target.client("dynamodb"), name, SystemClock())

    def look() -> tuple[datetime, datetime, Found]:
        end = to or datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        begin = from_ or end - timedelta(hours=1)
        return begin, end, read(kept, types or [], begin, end)

    if as_json:
        _, _, found = look()
        emit({kind: {at.isoformat(): events for at, events in minutes.items()} for kind, minutes in found.items()})
    elif watch:
        _watch(lambda: view(*look()))
    else:
        screen().print(view(*look()))


def read(kept: Counts, types: list[str], since: datetime, until: datetime) -> Found:
    """Of the types, or of all that there are: those that have events in that time."""
    found = {kind: kept.read(kind, since, until) for kind in types or kept.types()}
    return {kind: minutes for kind, minutes in found.items() if minutes}


def view(since: datetime, until: datetime, found: Found) -> Any:
    """A line for each type, the most frequent first: its events, those of its last whole minute, and bars over time."""
    if not found:
        return f"No events from {clock_time(since)} to {clock_time(until)} (--since, --until)."
    made = table("type", "#events", "#in the last minute", f"{clock_time(since)} to {clock_time(until)}")
    last = until - timedelta(minutes=2 if until > datetime.now(UTC) else 1)
    for kind, minutes in sorted(found.items(), key=lambda one: -sum(one[1].values())):
        made.add_row(
            harmless(kind), count(sum(minutes.values())), count(minutes.get(last, 0)), bars(minutes, since, until)
        )
    if len(found) != 1:
        everything = sum(sum(minutes.values()) for minutes in found.values())
        whole = sum(minutes.get(last, 0) for minutes in found.values())
        made.add_row(f"{count(len(found))} types", count(everything), count(whole), "", style="bold")
    return made


def bars(minutes: Mapping[datetime, int], since: datetime, until: datetime, widest: int = _WIDEST) -> str:
    """The time in so many equal parts at most, each as high as its events; any event shows."""
    whole = max(1, round((until - since) / timedelta(minutes=1)))
    columns = min(whole, widest)
    heights = [0] * columns
    for at, events in minutes.items():
        heights[int((at - since) / timedelta(minutes=1)) * columns // whole] += events
    most = max(heights, default=0)
    return "".join(_BARS[-(-height * (len(_BARS) - 1) // most)] if most else _BARS[0] for height in heights)


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentError(f"{text} is no time, as 2013-01-01T10:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).replace(second=0, microsecond=0)


def _watch(show: Any) -> None:
    from rich.live import Live

    with Live(show(), console=screen(), auto_refresh=False) as live:
        while True:
            time.sleep(_EVERY)  # Counts tell nobody that they have grown.
            live.update(show(), refresh=True)
