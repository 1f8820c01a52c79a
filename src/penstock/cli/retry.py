"""`penstock retry`: files in `failed/` are tried again where they lie."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.screen import count, emit, harmless, indented, margin, screen, size, table
from penstock.cli.target import deployment, option
from penstock.model.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from penstock.flows.retry_failed import Retry, Retrying, Wanted
    from penstock.local.deployment import Deployment
    from penstock.model.outcomes import SettledArrival

SHOWN = 20
"""How many files are told on the screen; --json names all."""
PATIENCE = 60
"""Seconds to wait for a listing to end: it takes one or two, or else two minutes to be given up on."""
EVERY = 0.5


def retry(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="A file's key in failed/ or in incoming/, or its arrival's id."),
    ] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", metavar="", help="All files in failed/.")] = False,
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", metavar="NAME", help="Only those that are this dataset's by now.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Say what would be done, and do nothing.")] = (
        False
    ),
    wait: Annotated[
        bool, typer.Option("--wait", "-w", metavar="", help="Stay until the run has ended; 1 if a file failed again.")
    ] = False,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Try failed files again, where they lie, after what they failed on was mended.

    Mend first: the dataset (and deploy it), the table, or the destination. Each file stays the arrival that it was, so
    its rows come in once, and what it failed on before stays in penstock.load_history and in the reason beside it. A
    file whose own content is wrong is sent anew instead.

    [dim]$ penstock retry --all-failed --dry-run
    $ penstock retry --all-failed --dataset flights --wait
    $ penstock retry incoming/flights/2013-01-01.csv[/dim]
    """
    from penstock.flows.retry_failed import Wanted
    from penstock.model.dataset_files import load_datasets

    if bool(keys) == all_failed:
        raise PermanentError(
            "name files, or say --all-failed; see what there is: penstock retry --all-failed --dry-run"
        )
    known = load_datasets(datasets)
    if dataset and dataset not in known:
        raise PermanentError(f"there is no dataset {dataset} in {datasets}/; there are {', '.join(known)}")
    wanted = Wanted(tuple(keys or ()), dataset)
    target = deployment(stack, aws=aws)
    retrying = _retrying(target, known)
    done = retrying.preview(wanted) if dry_run else _start(retrying, wanted)
    settled = _await_end(target, done) if wait and done.run else []
    failed = [one for one in settled if one.settlement != "processed"]
    if as_json:
        outcomes = [
            {"arrival": one.arrival, "key": one.key, "settlement": str(one.settlement), "rows": one.rows}
            | ({"reason": one.reason} if one.reason else {})
            for one in settled
        ]
        emit({"dry_run": dry_run, **done.to_json(), "settled": outcomes})
    else:
        _show(done, dry_run=dry_run, stack=stack)
        for one in settled:
            colour = "red" if one in failed else "green"
            what = harmless(one.reason) if one in failed else f"{count(one.rows)} rows"
            screen().print(f"  [{colour}]{one.settlement}[/]  {harmless(one.key)}: {what}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _retrying(target: Deployment, known: Any) -> Retrying:
    from penstock.adapters.clock import SystemClock
    from penstock.flows.retry_failed import Retrying
    from penstock.flows.start_run import Limits
    from penstock.wiring import Settings

    # The lister's own limits: all runs share them.
    function = target.client("lambda").get_function_configuration(FunctionName=target.outputs["ListIncomingFunction"])
    settings = Settings.of(function["Environment"]["Variables"])
    limits = Limits(settings.max_leased_files, settings.max_leased_bytes, timedelta(seconds=settings.run_seconds))
    return Retrying(target.store, target.leases, target.runs, SystemClock(), known, limits)


def _start(retrying: Retrying, wanted: Wanted) -> Retry:
    owner = f"retry-{uuid4().hex[:12]}"
    until = time.monotonic() + PATIENCE
    with margin().status("planning …") as line:
        while True:
            try:
                return retrying.start(wanted, owner)
            except TransientError:
                if time.monotonic() > until:
                    raise
                line.update("waiting for a listing to end …")
                time.sleep(EVERY)


def _await_end(target: Deployment, done: Retry) -> list[SettledArrival]:
    """What became of the files, in the plan's order; those that the run did not settle are left out."""
    from penstock.model.outcomes import SettledBatch
    from penstock.model.plans import settled_batch_key
    from penstock.ports import RunStatus

    with margin().status(f"run {done.run} …"):
        while target.runs.status(target.runs.execution_of(done.run)) in (RunStatus.RUNNING, RunStatus.MISSING):
            time.sleep(EVERY)
    settled: list[SettledArrival] = []
    for batch in done.batches:
        try:
            document = target.store.get_json(settled_batch_key(done.run, batch.number))
        except KeyError:
            continue
        settled += SettledBatch.from_json(document).arrivals
    if len(settled) < len(done.files):
        raise PermanentError(
            f"run {done.run} ended and has settled {len(settled)} of {len(done.files)} files; the others are in "
            f"failed/ as before. penstock run {done.run} says why; mend that, and retry them again"
        )
    return settled


def _show(done: Retry, *, dry_run: bool, stack: str) -> None:
    console = screen()
    files = f"{count(len(done.files))} file{'s' if len(done.files) != 1 else ''}"
    if not done.files:
        console.print("There is nothing to retry.")
    elif dry_run:
        batches = f"{count(len(done.batches))} batch{'es' if len(done.batches) != 1 else ''}"
        console.print(f"Would start a run of {files} in {batches}:\n")
    else:
        console.print(f"Started run [bold]{done.run}[/] of {files}:\n")
    if done.files:
        made = table("dataset", "#size", "#retry", "file", "why it failed")
        for one in done.files[:SHOWN]:
            made.add_row(
                one.dataset,
                size(one.arrival.size),
                str(one.arrival.retry),
                harmless(one.arrival.key),
                harmless(one.reason),
            )
        console.print(made)
        if len(done.files) > SHOWN:
            console.print(f"[dim]… and {count(len(done.files) - SHOWN)} more: --json names all[/]")
    if done.passed_over:
        console.print("\nPassed over:")
        for key, why in list(done.passed_over.items())[:SHOWN]:
            console.print(indented(f"{harmless(key)}\n[dim]{harmless(why)}[/]"))
        if len(done.passed_over) > SHOWN:
            console.print(f"[dim]… and {count(len(done.passed_over) - SHOWN)} more: --json names all[/]")
    if done.run:
        console.print(f"\n[dim]penstock run {done.run}{option(stack)} tells how it goes[/]")
