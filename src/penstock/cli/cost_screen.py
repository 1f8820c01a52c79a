"""What a person sees of a forecast: who is paid for what, what an idle stack costs, other designs, what lowers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from penstock.cli.screen import NOTHING, count, screen, table

if TYPE_CHECKING:
    from penstock.local.cost import Line, Prices
    from penstock.local.forecast import Forecast
    from penstock.local.levers import Lever

_SHOWN = 0.005
"""Dollars: what is less is summed up."""


def show(told: Forecast, turned: Sequence[Lever], prices: Prices, *, once: bool) -> None:
    console = screen()
    console.print(_head(told, once=once), "")
    console.print(_lines(told, once=once))
    if told.files.a_month:
        console.print("", _designs(told, once=once), sep="\n")
    if turned:
        knobs = table("what lowers it", "#saves", "and costs instead")
        for one in turned:
            knobs.add_row(one.knob, f"{one.saves:,.2f}", one.price)
        console.print("", knobs, sep="\n")
    if told.notes:
        console.print("")
    for note in told.notes:
        console.print(f"[yellow]![/] {note}.")
    console.print(
        f"\n[dim]List prices of {prices.region}, {prices.as_of}, without the free tier; a month is 30 days, and all "
        "comes evenly. Not in it: search domain, a warehouse of yours, storage, and what is kicked off. Seconds of "
        "functions are a laptop's, in prices.yaml; --prices takes others.[/]"
    )


def _head(told: Forecast, *, once: bool) -> str:
    every = "" if once else " a month"
    head = f"[bold]${told.dollars:,.2f}{every}[/]"
    if told.files.a_month:
        worked = f"{count(told.runs)} runs, {count(told.batches)} batches, {count(told.listings)} listings"
        head += f" for {count(told.files.a_month)} files: {worked}"
    if not once:
        head += f". An idle stack costs [bold]${sum(one.dollars for one in told.idle):,.2f}[/]"
    return head


def _lines(told: Forecast, *, once: bool) -> Table:
    idle: Counter[tuple[str, str]] = Counter()
    for line in told.idle:
        idle[line.of, line.service] += line.dollars  # type: ignore[assignment] # typeshed knows counts as int alone.
    columns = ("for", "service", "what", "#dollars", *(() if once else ("#idle",)))
    services = table(*columns)
    less = 0.0
    for (of, service), lines in _by_service(told.designs[0].lines):
        dollars = sum(line.dollars for line in lines)
        if dollars < _SHOWN:
            less += dollars
            continue
        what = "; ".join(line.what for line in lines if line.dollars >= _SHOWN) or lines[0].what
        nothing = idle[of, service]
        shown = () if once else (f"{nothing:,.2f}" if nothing >= _SHOWN else NOTHING,)
        services.add_row(of, service, what, f"{dollars:,.2f}", *shown)
    if less:
        services.add_row("", "", "what is less than a cent each", f"{less:,.2f}", *(() if once else (NOTHING,)))
    return services


def _by_service(lines: Sequence[Line]) -> Sequence[tuple[tuple[str, str], Sequence[Line]]]:
    """The dearest first."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.of, line.service), []).append(line)
    return sorted(found.items(), key=lambda item: -sum(line.dollars for line in item[1]))


def _designs(told: Forecast, *, once: bool) -> Table:
    others = any(line.of in ("stream", "archive", "messages") for line in told.designs[0].lines)
    columns = ("#dollars" if once else "#a month", *(() if others else ("#a million files",)))
    designs = table("design", *columns, "what it is")
    for one in told.designs:
        million = () if others else (f"{_per_million(one.dollars, told):,.2f}",)
        designs.add_row(one.name, f"{one.dollars:,.2f}", *million, one.what)
    return designs


def _per_million(dollars: float, told: Forecast) -> float:
    return dollars / told.files.a_month * 1_000_000
