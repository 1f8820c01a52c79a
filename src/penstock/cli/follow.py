"""`penstock put`, `status`, `runs` and `run`: files on their way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.screen import NOTHING, clock_time, count, emit, harmless, lasting, margin, screen, size, styled, table
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.rhythm import Rhythm
    from penstock.local.watch import Status

EVERY = 0.5
"""Seconds between two looks at a stack that is watched."""


def put(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Files, and folders with all that is in them.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="The dataset whose files they are.")],
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", metavar="", help="Stay until they are settled; 1 if one failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put files into incoming/, where Penstock takes them from.

    [dim]$ penstock put flights-2013-01-01.csv --dataset flights --wait
    $ penstock put exports/ -d planes        # a folder: its structure is kept in the keys[/dim]
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from penstock.local.put import plan_puts, put_files
    from penstock.local.settling import wait_for
    from penstock.model.dataset_files import load_datasets

    known = load_datasets(datasets)
    if dataset not in known:
        raise PermanentError(f"there is no dataset {dataset} in {datasets}/; there are {', '.join(known)}")
    puts = plan_puts(paths, known[dataset])
    target = deployment(stack, aws=aws)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=margin(), transient=True) as progress:
        task = progress.add_task(f"putting {count(len(puts))} files", total=sum(item.size for item in puts))
        done = put_files(target, puts, lambda moved: progress.advance(task, moved))
    settled = []
    if wait:
        with margin().status("waiting …") as line:
            settled = wait_for(
                target, {item["key"] for item in done}, lambda left: line.update(f"{count(left)} files to go …")
            )
    if as_json:
        emit({"put": done, "settled": [arrival.to_json() for arrival in settled]})
    else:
        files = f"{count(len(done))} file{'s' if len(done) != 1 else ''}"
        screen().print(f"put {files}, {size(sum(item['bytes'] for item in done))}, into {dataset}")
        for arrival in settled:
            screen().print(_fate(arrival), soft_wrap=True)
    if any(arrival.failed for arrival in settled):
        raise typer.Exit(1)


def status(
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", metavar="", help="Stay, and look twice a second until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show where all files are: what waits, what is done, what failed, and what is in tables and indexes.

    Of a dataset with flush, pace or expect_every also what it gathers, how fast it may go, and whether it is silent.

    [dim]$ penstock status
    $ penstock status --watch[/dim]
    """
    from penstock.local.watch import Counts, observe
    from penstock.model.dataset_files import load_datasets

    known = load_datasets(datasets)
    target = deployment(stack, aws=aws)
    if watch and not as_json:
        _watch(target, known)
        return
    seen = observe(target, known, Counts(target))
    if as_json:
        emit(
            {
                "stack": target.name,
                "datasets": {name: found.to_json() for name, found in seen.datasets.items()},
                "running": list(seen.running),
                "waiting": [_attempt(attempt) for attempt in seen.waiting],
                "down": [_breaker(breaker) for breaker in seen.breakers],
                "rhythms": [rhythm.to_json() for rhythm in seen.rhythms],
                "notes": list(seen.notes),
            }
        )
    else:
        screen().print(status_view(seen))


def runs(
    stack: StackName = LOCAL,
    aws: OnAws = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Show at most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first.

    [dim]$ penstock runs --limit 5[/dim]
    """
    from penstock.local.runs import list_runs

    found = list_runs(deployment(stack, aws=aws), limit)
    if as_json:
        emit([item.to_json() for item in found])
        return
    if not found:
        screen().print("There was no run yet. Files in incoming/ start one: penstock put FILE --dataset NAME")
        return
    made = table("run", "status", "started", "#took", "#files", "#size", "#batches", "datasets")
    for item in found:
        record = item.record
        made.add_row(
            item.id,
            styled(item.status),
            clock_time(item.started),
            lasting(item.lasted) if item.lasted else "…",
            count(record.files if record else None),
            size(record.bytes) if record else NOTHING,
            count(record.batches if record else None),
            ", ".join(record.datasets) if record else "",
        )
    screen().print(made)
    screen().print("\n[dim]penstock run ID tells what happened in one[/]")


def run(
    # `id` is what its help shows.
    id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the beginning of one, or last.")],
    stack: StackName = LOCAL,
    aws: OnAws = False,
    as_json: AsJson = False,
) -> None:
    """Tell what happened in a run, batch by batch.

    [dim]$ penstock run last[/dim]
    """
    from penstock.cli.story import story_view
    from penstock.local.runs import find_run, tell

    target = deployment(stack, aws=aws)
    story = tell(target, find_run(target, id))
    if as_json:
        emit(story.to_json())
    else:
        for part in story_view(story):
            screen().print(part)


def status_view(seen: Status) -> Any:
    """A line for each dataset, and below it what goes on and what waits."""
    from rich.console import Group

    made = table("dataset", "#incoming", "#size", "oldest", "#processed", "#failed", "#rows", "#documents")
    for name, found in seen.datasets.items():
        made.add_row(
            name,
            f"[bold yellow]{count(found.incoming)}[/]" if found.incoming else "0",
            size(found.bytes) if found.incoming else "",
            clock_time(found.oldest) if found.oldest else "",
            count(found.processed),
            f"[red]{count(found.failed)}[/]" if found.failed else "0",
            count(found.rows),
            count(found.documents),
        )
    lines = ["", f"live runs: [cyan]{', '.join(seen.running)}[/]" if seen.running else "[dim]no run is live[/]"]
    lines += [
        f"[bold red]{breaker.destination} is down[/] since {clock_time(breaker.opened)}, tried "
        f"{breaker.failures} times, again from {clock_time(breaker.probe_at)} on: {harmless(breaker.reason)}"
        for breaker in seen.breakers
    ]
    lines += [
        f"[yellow]put back[/], {attempt.attempts} times, not before {clock_time(attempt.not_before)}: "
        f"{harmless(attempt.reason)}"
        for attempt in sorted(seen.waiting, key=lambda one: -one.attempts)[:10]
    ]
    for rhythm in seen.rhythms:
        lines += rhythm_told(rhythm)
    lines += [f"[dim]{harmless(note)}[/]" for note in seen.notes]
    if seen.cut:
        lines.append("[dim]there are more settled files than were counted[/]")
    return Group(made, *lines)


def rhythm_told(rhythm: Rhythm) -> Iterator[str]:
    """A line for what it gathers, one for its pace, one for its silence."""
    name = rhythm.dataset
    if rhythm.gathered and rhythm.flush_files and rhythm.flush_bytes:
        most = f"{count(rhythm.flush_files)} files, {size(rhythm.flush_bytes)}"
        by = f", or at {clock_time(rhythm.flush_by)}" if rhythm.flush_by else ""
        yield (
            f"[cyan]{name} gathers[/]: {count(rhythm.gathered)} files, {size(rhythm.gathered_bytes or 0)}; "
            f"they go at {most}{by}"
        )
    if rhythm.pace is not None:
        slowed = f", halved at {clock_time(rhythm.slowed)}" if rhythm.slowed else ""
        yield f"{name}'s pace: {count(rhythm.pace)} of {count(rhythm.most)} files at once{slowed}"
    if rhythm.silent_since:
        yield f"[yellow]{name} is silent[/]: nothing has come since {clock_time(rhythm.silent_since)}. Ask its producer"


def _watch(target: Any, known: Any) -> None:
    import time

    from rich.live import Live

    from penstock.local.watch import Counts, observe

    counts = Counts(target)
    with Live(status_view(observe(target, known, counts)), console=screen(), auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(status_view(observe(target, known, counts)), refresh=True)


def _attempt(attempt: Any) -> dict[str, Any]:
    return {
        "arrival": attempt.arrival,
        "attempts": attempt.attempts,
        "not_before": attempt.not_before.isoformat(),
        "reason": attempt.reason,
    }


def _breaker(breaker: Any) -> dict[str, Any]:
    return {
        "destination": breaker.destination,
        "since": breaker.opened.isoformat(),
        "next_probe": breaker.probe_at.isoformat(),
        "failures": breaker.failures,
        "reason": breaker.reason,
    }


def _fate(arrival: Any) -> str:
    key = harmless(arrival.key)
    if arrival.failed:
        return f"  [red]failed[/]     {key}: {harmless(arrival.reason) or 'see the reason beside it in failed/'}"
    what = "known before" if arrival.duplicate else f"{count(arrival.rows)} rows, {count(arrival.documents)} documents"
    return f"  [green]processed[/]  {key}  [dim]{what}[/]"
