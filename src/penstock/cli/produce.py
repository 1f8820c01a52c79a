"""`penstock produce`: a file's lines become events of a stream."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from penstock.cli.options import LOCAL, AsJson, OnAws, StackName
from penstock.cli.screen import complain, count, emit, margin, screen
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.producer import Producer, Undelivered
    from penstock.producer.files import Line

_SHOWN = 10
"""Faults that are named one by one."""
_LAST_MOMENT = 5.0
"""Seconds of who is stopped: it may be killed soon, and then what is in memory is neither sent nor on disk."""
_LOOK = 0.2
"""Seconds between two looks at a file that is followed."""


def produce(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines or CSV, plain or .gz.")],
    stream: Annotated[
        str,
        typer.Option("--stream", "-s", metavar="NAME", help="Another Kinesis stream than the stack's: name or ARN."),
    ] = "",
    key: Annotated[
        str, typer.Option("--key", metavar="FIELD", help="Events equal in this field keep their order. Without: none.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", metavar="", help="Go on as the file grows, to Ctrl-C.")
    ] = False,
    spill: Annotated[
        Path | None,
        typer.Option("--spill", metavar="FOLDER", help="Where events that the stream does not take in time wait."),
    ] = None,
    aggregate: Annotated[
        int, typer.Option("--aggregate", metavar="BYTES", help="Put events of a key together, up to so many a record.")
    ] = 0,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    as_json: AsJson = False,
) -> None:
    """Send a file's lines to a stream, all of them, in the order of their key.

    A line without an event_id gets one from its place in the file, so that a line that is sent twice counts once. With
    --spill, events that can't be sent wait on disk, and --follow, started again, goes on where it was.

    [dim]$ penstock produce clicks.jsonl --key user
    $ penstock produce --follow /var/log/app.jsonl --stream clicks --spill /var/spool/clicks[/dim]
    """
    from penstock.local.aws_session import aws_session
    from penstock.local.clients import session
    from penstock.producer import BufferFullError, Producer
    from penstock.producer.sending import make_client

    if not file.is_file():
        raise PermanentError(f"{file} is no file that can be read")
    target = None if aws and stream else deployment(stack, aws=aws)
    if target is not None and not (stream := stream or target.outputs.get("StreamName", "")):
        raise PermanentError(f"stack {stack} has no stream. Name one (--stream), or deploy with Stream=on-demand")
    client = (
        make_client(4, aws_session())
        if target is None or aws
        else make_client(4, session(), target.client("kinesis").meta.endpoint_url)
    )
    producer = Producer(stream, client=client, spill=spill, aggregate=aggregate)
    faults: list[str] = []
    refused = 0
    patience: float | None = None  # As long as the stream takes some of what waits.
    on_term = signal.signal(signal.SIGTERM, _stopped)
    try:
        with margin().status("sending …") as line, suppress(BufferFullError):
            for one in _lines(file, producer, spill, follow=follow):
                fault = one.fault or _put(producer, one, key)
                if fault and follow:  # Who follows wants to hear of it now, and may follow for months.
                    refused += 1
                    complain(f"{file}:{one.number}: {fault}")
                elif fault:
                    faults.append(f"{file}:{one.number}: {fault}")
                if one.number % 10_000 == 0:
                    line.update(f"{count(producer.counters.sent)} sent …")
    except KeyboardInterrupt:
        patience = _LAST_MOMENT
    finally:
        lost = _closed(producer, patience)
        signal.signal(signal.SIGTERM, on_term)
    counters = producer.counters
    if as_json:
        emit({**counters.to_json(), "on_disk": producer.waiting, "refused": faults})
    else:
        screen().print(
            f"put {count(counters.put)}, sent {count(counters.sent)} in {count(counters.requests)} requests; "
            f"sent again {count(counters.retried)}, throttled {count(counters.throttled)}; "
            f"on disk {count(producer.waiting)}"
        )
        for fault in faults[:_SHOWN]:
            complain(fault)
        if len(faults) > _SHOWN:
            complain(f"and {count(len(faults) - _SHOWN)} more lines that are no events: --json names them")
    if lost:
        complain(
            f"{count(len(lost))} events were not sent: {lost[0].reason}. Send the file again: those that were sent are "
            "known by their ids"
        )
    if lost or faults or refused or producer.waiting:
        raise typer.Exit(1)


def _closed(producer: Producer, patience: float | None) -> list[Undelivered]:
    try:
        return producer.close(patience)
    except KeyboardInterrupt:
        return producer.close(_LAST_MOMENT)


def _stopped(_signal: int, _frame: object) -> NoReturn:
    """As Ctrl-C does: what waits in memory is sent, or goes to disk."""
    raise KeyboardInterrupt


def _put(producer: Producer, line: Line, key: str) -> str:
    """Why the event was not taken; empty when it was."""
    from penstock.producer import EventError

    assert line.event is not None  # noqa: S101 - A line has an event or a fault.
    if key and line.event.get(key) in (None, ""):
        return f"has no {key}, which --key orders by"
    try:
        producer.put(line.event, str(line.event[key]) if key else None)
    except EventError as refused:
        return str(refused)
    return ""


def _lines(file: Path, producer: Producer, spill: Path | None, *, follow: bool) -> Iterator[Line]:
    from penstock.producer.files import follow as followed
    from penstock.producer.files import keep_position, read_events

    if not follow:
        yield from read_events(file)
        return
    position = spill / f"{file.name}.position" if spill else None
    last: Line | None = None
    kept: Line | None = None

    def idle() -> bool:
        nonlocal kept
        if position is not None and last is not None and last.inode and last is not kept and producer.flush(_LOOK):
            with suppress(OSError):  # A disk that is full: its lines are read again, and known by their ids.
                keep_position(position, last)
                kept = last
        time.sleep(_LOOK)  # A file tells nobody that it has grown.
        return producer.has_undelivered  # Without a spill nobody else would say so.

    for last in followed(file, position, idle):
        yield last
