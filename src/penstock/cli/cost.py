"""`penstock cost`: what a stream of files will cost on AWS, said before anything is deployed."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.options import DATASETS, AsJson, DatasetsFolder
from penstock.cli.screen import count, emit, screen, table
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.cost import Prices
    from penstock.local.forecast import Files, Forecast

TEMPLATE = Path("template.yaml")


class Per(StrEnum):
    hour = "hour"
    day = "day"
    month = "month"


_A_MONTH = {Per.hour: 720, Per.day: 30, Per.month: 1}


def cost(
    files: Annotated[float, typer.Option("--files", metavar="NUMBER", help="How many come, as 1000 or 1e6.", min=1)],
    size: Annotated[str, typer.Option("--size", metavar="BYTES", help="Of one, as it lies in S3.")] = "200KB",
    per: Annotated[Per, typer.Option("--per", help="In what time.")] = Per.day,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="Whose files. Without: a table and an index.")
    ] = "",
    template: Annotated[
        Path, typer.Option("--from-template", metavar="FILE", help="The template, and beside it the state machine.")
    ] = TEMPLATE,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="As it will be deployed. Repeatable.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Other prices: a copy of prices.yaml, changed.")
    ] = None,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Say what a stream of files will cost on AWS by the month, service by service, and what two other designs would.

    Transitions are counted in the state machine, alarms and memory in the template, requests as they were counted at
    the adapters. Needs no stack and no cloud.

    [dim]$ penstock cost --files 1e6 --size 200KB --per day
    $ penstock cost --files 500 --dataset flights --parameter MinSecondsBetweenRuns=300[/dim]
    """
    from penstock.local.cost import PRICES, Prices
    from penstock.local.forecast import forecast
    from penstock.local.stack_template import StackTemplate

    given = dict(_parameter(one) for one in parameters or [])
    asked = Prices.read(prices) if prices else PRICES
    stream = _files(round(files * _A_MONTH[per]), _bytes(size), dataset, datasets)
    told = forecast(stream, StackTemplate.read(template, given), asked)
    if as_json:
        emit({"prices_as_of": asked.as_of, "region": asked.region, **asdict(told), "dollars_a_month": told.dollars})
    else:
        _show(told, asked)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise PermanentError(f"--parameter {text} has no value. Write --parameter NAME=VALUE")
    return name, value


def _bytes(text: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        raise PermanentError(f"--size {text} is no size. Write it as 200KB, 3MiB or 5000") from None


def _files(a_month: int, size: int, name: str, folder: Path) -> Files:
    from penstock.local.forecast import Files
    from penstock.model.dataset_files import load_datasets

    if not name:
        return Files(a_month, size)
    known = load_datasets(folder)
    if name not in known:
        raise PermanentError(f"there is no dataset {name} in {folder}/; there are {', '.join(known)}")
    one = known[name]
    return Files(
        a_month,
        size,
        destinations=(one.table is not None) + (one.index is not None),
        most_files=one.batch.max_files,
        most_bytes=one.batch.max_bytes,
        indexed_after_load=bool(one.table and one.index and one.index.id_columns),
        kick_offs=int(one.kick_off is not None),
        datasets=len(known),
    )


def _show(told: Forecast, prices: Prices) -> None:
    console = screen()
    ours = told.designs[0]
    console.print(
        f"[bold]${told.dollars:,.2f} a month[/] for {count(told.files.a_month)} files, "
        f"[bold]${_per_million(told.dollars, told):,.2f}[/] for a million of them: "
        f"{count(told.runs)} runs, {count(told.batches)} batches, {count(told.listings)} listings\n"
    )
    services = table("service", "what a month has", "#dollars")
    for line in ours.lines:
        services.add_row(line.service, line.what, f"{line.dollars:,.2f}")
    console.print(services)
    designs = table("design", "#dollars a month", "#a million files", "what it is")
    for one in told.designs:
        designs.add_row(one.name, f"{one.dollars:,.2f}", f"{_per_million(one.dollars, told):,.2f}", one.what)
    console.print("", designs, sep="\n")
    console.print(
        f"\n[dim]List prices of {prices.region}, {prices.as_of}, without the free tier; without warehouse, search "
        "domain, streams,\nstorage, network and what is kicked off. Files come evenly. Lambda's seconds, a laptop's, "
        "are in prices.yaml.[/]"
    )


def _per_million(dollars: float, told: Forecast) -> float:
    return dollars / told.files.a_month * 1_000_000
