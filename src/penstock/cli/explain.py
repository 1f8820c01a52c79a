"""`penstock explain`: what would happen to a file, said on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from penstock.cli.options import DATASETS, AsJson, DatasetsFolder
from penstock.cli.screen import count, emit, harmless, indented, screen, size, table
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.flows.explain_file import Explanation

SHOWN = 10
"""Rejects on the screen."""
_RAW = 100
"""Characters of a reject's text on the screen."""


def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file as it would be put, plain or compressed.")],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="The dataset whose file it would be.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="For symmetry: this command never changes anything.")
    ] = False,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Say what would happen to a file: how it is read, which rows are rejected and why, and which statements are run.

    Needs no stack and no cloud. Values are judged as PostgreSQL would, as far as that can be told without one: when the
    file is loaded, the database is the judge. Exits with 1 when the file would be quarantined.

    [dim]$ penstock explain flights-2013-01-01.csv --dataset flights
    $ penstock explain new.csv -d flights --json | jq .rejects[/dim]
    """
    from penstock.flows.explain_file import explain_file
    from penstock.model.dataset_files import load_datasets

    del dry_run
    known = load_datasets(datasets)
    if dataset not in known:
        raise PermanentError(f"there is no dataset {dataset} in {datasets}/; there are {', '.join(known)}")
    told = explain_file(file, known[dataset])
    statements = _statements(told)
    if as_json:
        emit({"file": str(file), **told.to_json(), "rules": list(_rules(told)), "statements": statements})
    else:
        _show(told, statements)
    if not told.loads:
        raise typer.Exit(1)


def _statements(told: Explanation) -> list[str]:
    if told.dataset.table is None or told.fault:
        return []
    from penstock.adapters.postgres.statements import statements_of

    return statements_of(told.dataset, told.order)


def _rules(told: Explanation) -> Any:
    from penstock.flows.explain_file import rules_of

    return rules_of(told.dataset)


def _show(told: Explanation, statements: list[str]) -> None:
    console = screen()
    dataset = told.dataset
    _verdict(told)
    _section("How it is read")
    dialect = ""
    if dataset.format == "csv":
        header = "with a header" if dataset.csv.header else "without a header"
        delimiter = "a tab" if dataset.csv.delimiter == "\t" else f"[ {dataset.csv.delimiter} ]"
        dialect = f", {header}, delimiter {delimiter}, quote [ {dataset.csv.quote} ]"
    packed = "not compressed" if told.compression == "none" else told.compression
    console.print(indented(harmless(f"{dataset.format}, {packed}, {size(told.size)}{dialect}")))
    if told.encoding:
        console.print(indented(f"{told.encoding}, line ends {told.line_ends}"))
    for note in told.notes:
        console.print(indented(f"[yellow]{harmless(note)}[/]"))
    if not told.fault:
        _columns(told)
        _rejects(told)
    _where(told)
    if statements:
        _section("Statements")
        for statement in statements:
            console.print(indented(harmless(statement)))
    if told.document:
        _section(f"Its first document, in index {dataset.index.name if dataset.index else ''}")
        console.print(indented(harmless(told.document)))
    if dataset.table is not None:
        console.print(
            "\n[dim]Judged without a database, which is the judge when the file is loaded: its constraints,[/]"
        )
        console.print("[dim]triggers and the finer points of its types are known there alone.[/]")


def _verdict(told: Explanation) -> None:
    console = screen()
    if told.fault:
        console.print(Text("It would be quarantined: ", style="bold red").append(told.fault, style="not bold default"))
        return
    rows = f"{count(told.rows)} row{'s' if told.rows != 1 else ''}"
    if not told.loads:
        console.print(f"[bold red]It would be quarantined:[/] {harmless(told.reason)}. Nothing of it would be loaded.")
        return
    rejected = f", and {count(told.rejected)} rejected, within its tolerance" if told.rejected else ""
    console.print(f"[bold green]It would be loaded:[/] {count(told.rows - told.rejected)} of {rows}{rejected}.")


def _columns(told: Explanation) -> None:
    _section("Columns")
    made = table("in the file", "column", "type", "the file looks like", "#nulls", "#rejects")
    for seen in told.columns:
        column = seen.column
        differs = seen.inferred and seen.inferred != column.type
        made.add_row(
            harmless(column.in_file),
            column.name if column.name != column.in_file else "",
            f"{column.type}{' required' if column.required else ''}",
            f"[yellow]{seen.inferred}[/]" if differs else seen.inferred,
            count(seen.nulls) if seen.nulls else "",
            f"[red]{count(seen.rejects)}[/]" if seen.rejects else "",
        )
    screen().print(made)


def _rejects(told: Explanation) -> None:
    console = screen()
    if told.rejects:
        shown = f", the first {SHOWN}" if told.rejected > SHOWN else ""
        _section(f"Rejects: {count(told.rejected)}{shown}")
        made = table("#row" if told.dataset.format == "parquet" else "#line", "column", "why", "the row")
        for reject in told.rejects[:SHOWN]:
            raw = Text(reject.raw if len(reject.raw) <= _RAW else f"{reject.raw[:_RAW]}…", style="dim")
            made.add_row(str(reject.line), reject.column, harmless(reject.reason), raw)
        console.print(made)
    if doubt := told.first_doubt:
        console.print(
            indented(
                f"[yellow]{count(told.doubts)} rows are left to the database[/]: the first on line {doubt.line}, "
                f"column {doubt.column}: {harmless(doubt.reason)}"
            )
        )


def _where(told: Explanation) -> None:
    console = screen()
    batch = told.dataset.batch
    _section("Where it goes")
    for what, key in (("put as", told.key), ("then", told.processed), ("or", told.failed)):
        current = (what == "then") == told.loads or what == "put as"
        style = "default" if current else "dim"
        console.print(indented(f"[dim]{what:<7}[/][{style}]{harmless(key)}[/]"))
    alone = "alone, since it is as big as one" if told.size >= batch.max_bytes else "with others that wait"
    limits = f"at most {count(batch.max_files)} files and {size(batch.max_bytes)}"
    console.print(indented(f"[dim]batch  [/]{alone}: {limits} in one"))
    for rule in _rules(told):
        console.print(indented(f"[dim]rule   [/]{rule}"))


def _section(title: str) -> None:
    screen().print(f"\n[bold]{harmless(title)}[/]")
