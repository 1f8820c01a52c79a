"""`penstock backfill`: everything below a prefix is loaded by one execution, however much it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.screen import count, emit, margin, screen, size, table
from penstock.cli.target import deployment, option
from penstock.model.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from penstock.local.backfill_cost import Estimate
    from penstock.local.deployment import Deployment
    from penstock.ports import Clock
    from penstock.wiring import Settings

PATIENCE = 60
"""Seconds to wait for a listing to end."""
EVERY = 0.5


def backfill(
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="PREFIX", help="What to load: keys below it, in incoming/.")
    ] = "incoming/",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Say what it would take, and start nothing.")
    ] = (False),
    seconds_a_file: Annotated[
        float, typer.Option("--seconds-per-file", metavar="SECONDS", help="As you measured; else 0.03.", min=0)
    ] = 0.0,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Load everything below a prefix, in one execution, and say first what that takes.

    It goes through the prefix part by part, so it takes a million files as well as a hundred. Files that arrive after
    its start are loaded beside it, by listings. If it was stopped or failed, start it again: it goes on where it was.

    [dim]$ penstock backfill --dry-run
    $ penstock backfill --prefix incoming/flights/2013/[/dim]
    """
    from penstock.adapters.clock import SystemClock
    from penstock.flows.measure_backfill import measure_backfill
    from penstock.local.backfill_cost import SECONDS_A_FILE, estimate
    from penstock.model.dataset_files import load_datasets

    if not prefix.startswith("incoming/"):
        raise PermanentError(f"{prefix} is not below incoming/: a backfill loads what is there. Try incoming/{prefix}")
    known = load_datasets(datasets)
    target = deployment(stack, aws=aws)
    settings = settings_of(target)
    with margin().status("listing …"):
        found = measure_backfill(target.store, target.leases, SystemClock(), known, prefix)
    told = estimate(found, settings.max_backfill_batches, seconds_a_file or SECONDS_A_FILE)
    if not as_json:
        _show(told, assumed=not seconds_a_file)
    run = "" if dry_run or not found.files else start(target, settings, prefix, SystemClock())
    if as_json:
        emit({"dry_run": dry_run, "run": run or None, "datasets": dict(found.datasets), **told.to_json()})
    elif run:
        screen().print(f"\nStarted [bold]{run}[/].\n[dim]penstock status{option(stack)} tells how it goes[/]")


def settings_of(target: Deployment) -> Settings:
    """The lister's own: all runs share its limits."""
    from penstock.wiring import Settings

    function = target.client("lambda").get_function_configuration(FunctionName=target.outputs["ListIncomingFunction"])
    return Settings.of(function["Environment"]["Variables"])


def start(target: Deployment, settings: Settings, prefix: str, clock: Clock) -> str:
    """Records and starts it when no listing is at work; its id."""
    from penstock.flows.listing_lease import LEASE
    from penstock.flows.start_backfill import start_backfill
    from penstock.ports import RunStatus

    owner = f"backfill-{uuid4().hex[:12]}"
    until = time.monotonic() + PATIENCE
    while (lease := target.leases.acquire_listing(owner, clock.now(), LEASE)) is None:
        if time.monotonic() > until:
            raise TransientError("A listing is going on, and a backfill is started by one at a time. Try again.")
        time.sleep(EVERY)
    try:
        goes_on = (RunStatus.RUNNING, RunStatus.MISSING)  # A missing one is yet to be started.
        live = [run for run in target.leases.live_runs() if run.claim and target.runs.status(run.execution) in goes_on]
        most = settings.max_leased_files, settings.max_leased_bytes, settings.max_backfill_batches
        return start_backfill(target.leases, target.runs, clock, lease, live, prefix, *most)
    finally:
        while target.leases.release_listing(lease):
            continue


def _show(told: Estimate, *, assumed: bool) -> None:
    console = screen()
    if not told.files:
        console.print("There is nothing to load: no file is there that is neither leased nor waits to be tried again.")
        return
    rows: list[tuple[str, Any]] = [
        ("files", f"{count(told.files)}, {size(told.bytes)}"),
        ("batches", f"{count(told.batches)}, planned in {count(told.parts)} parts"),
        ("transitions", f"{count(told.transitions)}, {told.transitions / told.files:.3f} a file"),
        ("hours", f"{told.hours:.1f}, {told.at_once} batches at once, {told.seconds_a_file} s a file"),
        ("dollars", f"{told.dollars:.2f}, {told.per_million:.2f} for a million such files"),
    ]
    made = table("what", "how much")
    for name, value in rows:
        made.add_row(name, value)
    console.print(made)
    if assumed:
        console.print("[dim]Seconds per file are assumed; a backfill of a small prefix measures yours.[/]")
