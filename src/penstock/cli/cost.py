"""`penstock cost`: what files, events and messages will cost on AWS, said before anything is deployed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from penstock.cli.options import DATASETS, AsJson, DatasetsFolder
from penstock.cli.screen import emit
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.coming import Files
    from penstock.local.forecast import Forecast

TEMPLATE = Path("template.yaml")
_FROM_TEMPLATE = "--from-template"
UNPACKS_TO = 10
"""Times its size: what text unpacks to, mostly."""


class Per(StrEnum):
    hour = "hour"
    day = "day"
    month = "month"
    once = "once"


class CostCommand(TyperCommand):
    """Takes `--from-template` without a FILE for this folder's: Typer has no option whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if _FROM_TEMPLATE in args:
            after = args.index(_FROM_TEMPLATE) + 1
            if after == len(args) or args[after].startswith("-"):
                args.insert(after, str(TEMPLATE))
        return super().parse_args(ctx, args)


_A_MONTH = {Per.hour: 720, Per.day: 30, Per.month: 1, Per.once: 1}


def cost(
    files: Annotated[float, typer.Option("--files", metavar="NUMBER", help="How many files come, as 1000 or 1e6.")] = 0,
    size: Annotated[str, typer.Option("--size", metavar="BYTES", help="Size of a file, as it lies in S3.")] = "200KB",
    compressed: Annotated[
        bool, typer.Option("--compressed", help="Files are .gz or the like, and unpack to ten times their size.")
    ] = False,
    per: Annotated[
        Per, typer.Option("--per", help="In what time so many come; once: all files in one moment, as a backlog.")
    ] = Per.day,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="Whose files. Else: of a table and an index.")
    ] = "",
    events: Annotated[
        float, typer.Option("--events", metavar="NUMBER", help="How many events the stream or the archive gets.")
    ] = 0,
    event_size: Annotated[str, typer.Option("--event-size", metavar="BYTES", help="Size of an event.")] = "500B",
    poison: Annotated[
        float, typer.Option("--poison", metavar="SHARE", help="Share of records that are no events, as 0.001.")
    ] = 0,
    messages: Annotated[
        float, typer.Option("--messages", metavar="NUMBER", help="How many messages the queue gets.")
    ] = 0,
    message_size: Annotated[str, typer.Option("--message-size", metavar="BYTES", help="Size of a message.")] = "500B",
    rpus: Annotated[
        int, typer.Option("--rpus", metavar="NUMBER", help="Base capacity of your Redshift Serverless. 0: not counted.")
    ] = 0,
    template: Annotated[
        Path, typer.Option(_FROM_TEMPLATE, metavar="[FILE]", help="The template, and beside it the state machine.")
    ] = TEMPLATE,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="As you will deploy. Repeatable.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Other prices: a copy of prices.yaml, changed.")
    ] = None,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Say what files, events and messages will cost on AWS by the month, line by line; and two other designs.

    Transitions are counted in the state machine; memory, alarms and what costs by the hour in the template; requests as
    they were counted at the adapters. Without --files, --events and --messages it says what an idle stack costs. Needs
    no stack and no cloud.

    [dim]$ penstock cost --files 1e6 --size 200KB --per day
    $ penstock cost --files 500 --dataset flights --parameter MinSecondsBetweenRuns=300
    $ penstock cost --events 1e6 --parameter Stream=on-demand --parameter Archive=stream
    $ penstock cost --files 2e6 --size 5KB --per once[/dim]
    """
    from penstock.cli.cost_screen import show
    from penstock.local.at_once import forecast_at_once
    from penstock.local.coming import Events, Messages
    from penstock.local.cost import PRICES, Prices
    from penstock.local.forecast import forecast
    from penstock.local.front_doors import shards_wanted
    from penstock.local.levers import levers
    from penstock.local.stack_template import StackTemplate

    given = dict(_parameter(one) for one in parameters or [])
    asked = Prices.read(prices) if prices else PRICES
    stack = StackTemplate.read(template, given)
    stream = _files(_number("--files", files, per), _bytes("--size", size, *_OF_FILES), dataset, datasets)
    if compressed:
        stream = replace(stream, unpacks_to=UNPACKS_TO)
    if not 0 <= poison <= 1:
        raise PermanentError(f"--poison {poison:g} is no share. Write it as 0.001, from 0 to 1")
    if rpus < 0:
        raise PermanentError(f"--rpus {rpus} is less than nothing")
    told_events = Events(
        _number("--events", events, per), _bytes("--event-size", event_size, *_OF_EVENTS), poison=poison
    )
    told_messages = Messages(_number("--messages", messages, per), _bytes("--message-size", message_size, *_OF_EVENTS))
    _check_doors(told_events.a_month, told_messages.a_month, stack.parameters)
    if per is Per.once:
        if not stream.a_month or told_events.a_month or told_messages.a_month:
            raise PermanentError("--per once wants --files, and neither events nor messages: those come by and by")
        told, turned = forecast_at_once(stream, stack, asked), []
    else:
        coming = (told_events, told_messages, rpus)
        told = forecast(stream, stack, asked, *coming)

        def with_others(other: Files, changed: Mapping[str, str]) -> float:
            known = stack if not changed else StackTemplate.read(template, {**given, **changed})
            return forecast(other, known, asked, *coming).dollars

        turned = list(levers(stream, stack, shards_wanted(told_events), told.dollars, with_others))
    if as_json:
        head = {"prices_as_of": asked.as_of, "region": asked.region}
        dollars = {"dollars": told.dollars} if per is Per.once else {"dollars_a_month": told.dollars}
        emit({**head, **_document(told), "levers": [asdict(one) for one in turned], **dollars})
    else:
        show(told, turned, asked, once=per is Per.once)


def _document(told: Forecast) -> dict[str, Any]:
    document = asdict(told)
    for name in ("flush", "pace"):
        if limits := getattr(told.files, name):
            document["files"][name] = limits.model_dump(mode="json")
    return document


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise PermanentError(f"--parameter {text} has no value. Write --parameter NAME=VALUE")
    return name, value


_OF_FILES = (5 * 2**40, "a file: S3 takes from 1 byte to 5 TiB")
_OF_EVENTS = (2**20, "an event or a message: from 1 byte to 1 MiB")
_MOST = 1e13
"""A month: more of anything is a slip of the pen."""


def _number(option: str, value: float, per: Per) -> int:
    if not math.isfinite(value) or not 0 <= value * _A_MONTH[per] <= _MOST:
        raise PermanentError(
            f"{option} {value:g} is no number of them. Write it as 1000 or 1e6, from 0 to 1e13 a month"
        )
    return math.ceil(value * _A_MONTH[per])


def _bytes(option: str, text: str, most: int, what: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        size = TypeAdapter(ByteSize).validate_python(text)
    except (ValidationError, OverflowError):
        raise PermanentError(f"{option} {text} is no size. Write it as 200KB, 3MiB or 5000") from None
    if not 0 < size <= most:
        raise PermanentError(f"{option} {text} is no size of {what}")
    return size


def _check_doors(events: int, messages: int, known: Mapping[str, str]) -> None:
    if known["Archive"] == "stream" and known["Stream"] == "none":
        raise PermanentError("Archive=stream wants a stream: add --parameter Stream=on-demand, or provisioned")
    if events and known["Stream"] == "none" and known["Archive"] == "none":
        raise PermanentError(
            "--events come to no stream here: add --parameter Stream=on-demand, or provisioned, or Archive=direct"
        )
    if messages and known["Messages"] == "none":
        raise PermanentError("--messages come to no queue here: add --parameter Messages=standard, or fifo")


def _files(a_month: int, size: int, name: str, folder: Path) -> Files:
    from penstock.local.coming import Files
    from penstock.model.dataset_files import load_datasets
    from penstock.model.datasets import Compression, Format

    if not name and not folder.is_dir():
        return Files(a_month, size)
    known = load_datasets(folder)
    expected = sum(one.expect_every is not None for one in known.values())
    if not name:
        return Files(a_month, size, datasets=len(known), expected=expected)
    if name not in known:
        raise PermanentError(f"there is no dataset {name} in {folder}/; there are {', '.join(known)}")
    one = known[name]
    stream = Files(a_month, size, datasets=len(known), expected=expected)
    return replace(
        stream,
        destinations=(one.table is not None) + (one.index is not None),
        most_files=one.batch.max_files,
        most_bytes=one.batch.max_bytes,
        indexed_after_load=bool(one.table and one.index and one.index.id_columns),
        kick_offs=int(one.kick_off is not None),
        parquet=one.format is Format.PARQUET,
        unpacks_to=1 if one.compression in (Compression.AUTO, Compression.NONE) else UNPACKS_TO,
        flush=one.flush,
        pace=one.pace,
    )
