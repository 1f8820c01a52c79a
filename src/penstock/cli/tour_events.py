"""The demo's second act: counts while they grow, beside what was sent; and its account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from penstock.cli.counts import bars
from penstock.cli.screen import count, harmless, indented, lasting, table
from penstock.local.cost import total
from penstock.local.demo.departures import CANCELLED, FIRST_DAY, LAST_DAY

if TYPE_CHECKING:
    from penstock.local.demo.replay import Heard, Look
    from penstock.local.demo.stream_account import StreamAccount

_BEGIN = datetime.combine(FIRST_DAY, time(5), UTC)
_END = datetime.combine(LAST_DAY, time(5), UTC) + timedelta(days=1)
"""New York's midnights."""
_HOURS = 4
"""Of a column of the bars: as many as fit 80 columns with the rest."""


def events_view(look: Look) -> Any:
    """A line for each carrier, and one for what was cancelled; what the alarm on the rate has told below."""
    days = f"{_day(_BEGIN)} to {_day(_END - timedelta(days=1))}, {_HOURS} hours each"
    made = table("carrier", "#sent", "#counted", days)
    for kind in sorted(look.counted, key=lambda kind: (kind == CANCELLED, kind)):
        sent, minutes = look.sent.get(kind, 0), look.counted[kind]
        made.add_row(
            Text(kind, style="red" if kind == CANCELLED else ""),
            count(sent),
            Text(count(counted := sum(minutes.values())), style="green" if counted == sent else "yellow"),
            Text(bars(minutes, _BEGIN, _END, (_END - _BEGIN) // timedelta(hours=_HOURS)), style="cyan"),
        )
    return Group(made, "", _clock(look), *(line for one in look.heard for line in _message(one)))


def one_line(look: Look) -> str:
    """Where there is no terminal."""
    return f"{_moment(look.now)}  {count(_counted(look))} of {count(sum(look.sent.values()))} events counted"


def events_summary(account: StreamAccount) -> Iterator[Any]:
    sent, days = account.sent, f"{_day(_BEGIN)} to {_day(_END - timedelta(days=1))}"
    yield (
        f"\n[bold]Replayed as events[/] [dim]the flights of {days}, {count(round(account.speed))} times as fast, "
        f"{lasting(account.seconds)}[/]"
    )
    yield indented(
        f"{count(sum(sent.values()))} lines: {count(sent['in time'] + sent['late'])} flights, {count(sent['late'])} of "
        f"them late; {count(sent['repeat'])} sent twice; {count(sent['poison'])} that are no events"
    )
    yield indented(
        f"{_mark(not account.miscounted)} {count(account.counted)} counted, {count(account.cancelled)} of them "
        f"cancelled: what SQL says of the rows in {count(account.hours)} hours of all carriers"
    )
    yield indented(f"{_mark(account.repeats == sent['repeat'])} {count(account.repeats)} repeats known by their ids")
    letters = count(sum(account.put_aside.values()))
    yield indented(f"{_mark(not account.misplaced)} {letters} in the dead letters, with what they hold")
    for why, number in sorted(account.put_aside.items()):
        yield indented(f"[dim]{count(number)}: {harmless(why)}[/]", by=4)
    files = account.archived
    yield indented(
        f"{_mark(not files.wrong)} {count(files.rows)} in table departures by {count(files.files)} files of the "
        f"archive, each once; {count(files.repeats)} repeats, {count(files.rejects)} rejects"
    )
    for one in account.heard:
        yield from _message(one)


def events_cost(account: StreamAccount) -> Iterator[Any]:
    dollars, lines = total(account.cost), sum(account.sent.values())
    yield (
        f"\n[bold]And the events[/] about [bold]${dollars:.4f}[/] (${dollars / lines * 1_000_000:,.2f} a million), "
        "without shards and archive"
    )
    what = table("service", "what was counted", "#dollars")
    for line in account.cost:
        what.add_row(line.service, line.what, f"{line.dollars:.6f}")
    yield Padding(what, (0, 0, 0, 2), expand=False)


def _message(heard: Heard) -> Sequence[Any]:
    style = "green" if heard.what == "all clear" else "bold red"
    first = heard.text.partition(". ")[0]
    return (
        indented(f"[{style}]✉ {harmless(heard.subject)}[/] [dim]told as of {_moment(heard.at)}[/]"),
        indented(f"[dim]{harmless(first)}.[/]", by=4),
    )


def _clock(look: Look) -> Text:
    return Text.assemble(
        (f"{lasting(look.seconds):>7}", "bold"),
        (f"   {_moment(look.now)}", "bold"),
        (f"   {count(round(look.speed))} times as fast   ", "dim"),
        f"{count(_counted(look))} of {count(sum(look.sent.values()))}",
        (" events counted", "dim"),
    )


def _counted(look: Look) -> int:
    return sum(sum(minutes.values()) for minutes in look.counted.values())


def _mark(good: bool) -> str:
    return "[green]✓[/]" if good else "[red]✗[/]"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
