"""`penstock reconcile`: do S3, load ledger, rows and documents say the same?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.screen import count, emit, harmless, indented, lasting, margin, screen, table
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.deployment import Deployment
    from penstock.model.datasets import Dataset
    from penstock.model.reconciliation import Reconciliation

SHOWN = 20
"""How many arrivals are told on the screen; the report names all."""


def reconcile(
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="This dataset alone. By default all of them.")
    ] = "",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Judge what was decided since, as 2026-01-31 or 2026-01-31T18:00Z.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Say what would be read, and do nothing.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report there too, as JSON.")] = None,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Compare S3, load ledger, rows and documents, and name every file of which they do not say the same.

    Nothing is changed; a report goes to plans/reconcile/. What a run is at work on is left for the next time. Exits
    with 1 where something disagrees: docs/operations.md says what each kind means.

    [dim]$ penstock reconcile
    $ penstock reconcile --dataset flights --since 2026-01-31 --report report.json[/dim]
    """
    from penstock.flows.reconcile import Kept, Scope, report_key, what_is_read
    from penstock.flows.reconcile import reconcile as compare
    from penstock.model.dataset_files import load_datasets

    known = load_datasets(datasets)
    if dataset and dataset not in known:
        raise PermanentError(f"there is no dataset {dataset} in {datasets}/; there are {', '.join(known)}")
    scope = Scope(dataset, _time(since) if since else None)
    target = deployment(stack, aws=aws)
    if dry_run:
        _say_what_is_read(
            [*what_is_read(target.bucket, _checked(target, known), scope), *_writes(target, report)], as_json=as_json
        )
        return
    kept = Kept(_days(target, "ProcessedExpirationDays"), _days(target, "FailedExpirationDays"))
    with margin().status("comparing …"):
        found = compare(
            target.store,
            target.leases,
            target.runs,
            target.warehouse,
            target.search,
            _clock(),
            known,
            scope,
            kept,
        )
        key = report_key(found.began)
        target.store.put_json(key, found.to_json())
    if report:
        report.write_text(json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n")
    if as_json:
        emit(found.to_json())
    else:
        _show(found, str(report) if report else f"s3://{target.bucket}/{key}")
    if found.total:
        raise typer.Exit(1)


def _time(text: str) -> datetime:
    """UTC where no zone is named."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentError(f"--since {text} is no time. Write it as 2026-01-31 or 2026-01-31T18:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _days(target: Deployment, parameter: str) -> int:
    return int(target.parameters.get(parameter) or 0)


def _clock() -> Any:
    from penstock.adapters.clock import SystemClock

    return SystemClock()


def _checked(target: Deployment, known: Mapping[str, Dataset]) -> dict[str, Dataset]:
    from penstock.flows.reconcile import checkable

    return {name: checkable(one, target.warehouse, target.search) for name, one in known.items()}


def _writes(target: Deployment, report: Path | None) -> list[str]:
    from penstock.flows.reconcile import report_key

    where = report_key(datetime(1, 1, 1, tzinfo=UTC)).rpartition("/")[0]
    return [f"write s3://{target.bucket}/{where}/<time>.json", *([f"write {report}"] if report else [])]


def _say_what_is_read(lines: list[str], *, as_json: bool) -> None:
    if as_json:
        emit({"would": lines})
        return
    for line in lines:
        screen().print(f"would {line}", soft_wrap=True, markup=False)


def _show(found: Reconciliation, where: str) -> None:
    console = screen()
    console.print(_counts(found))
    console.print()
    told: set[str] = set()
    for one in found.disagreements:
        about = one.arrival or one.key
        if about not in told and len(told) == SHOWN:
            break
        if about not in told:
            console.print(f"[bold]{harmless(one.dataset)}[/]  {harmless(one.key)}", soft_wrap=True)
            told.add(about)
        console.print(indented(f"[red]{one.kind}[/]  {harmless(one.what)}", by=2))
        console.print(indented(harmless(one.todo), by=4))
    took = lasting(found.ended - found.began)
    if not found.total:
        console.print(f"[bold green]All of it agrees[/], looked at in {took}.")
        return
    if found.total > len(told):
        console.print(f"[dim]and {count(found.total - len(told))} more files: see the report[/]")
    files = "1 file disagrees" if found.total == 1 else f"{count(found.total)} files disagree"
    console.print(f"\n[bold red]{files}[/], after {took}. The report: {where}", soft_wrap=True)


def _counts(found: Reconciliation) -> Any:
    made = table("dataset", "#incoming", "#processed", "#failed", "#rows", "#documents", "#in flight", "#disagree")
    for name, checked in sorted(found.checked.items()):
        made.add_row(
            name,
            count(checked.incoming),
            count(checked.processed),
            count(checked.failed),
            count(checked.rows),
            count(checked.documents),
            count(checked.in_flight),
            f"[red]{count(checked.disagreements)}[/]" if checked.disagreements else "[green]0[/]",
        )
    return made
