"""`penstock replay --documents`: a dataset's documents are written anew from processed/, into its own index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from penstock.cli.screen import count, emit, harmless, indented, margin, screen, size
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.flows.replay_dataset import Window
    from penstock.flows.replay_documents import Foreseen, Written
    from penstock.local.deployment import Deployment
    from penstock.model.arrivals import Arrival
    from penstock.model.datasets import Dataset

SHOWN = 20


def replay_documents(dataset: Dataset, target: Deployment, window: Window, *, dry_run: bool, as_json: bool) -> None:
    """Exits with 1 when a file was refused, or an arrival has another number of documents than were written."""
    from penstock.flows.replay_documents import foresee, indexed_dataset

    index = indexed_dataset(dataset, has_warehouse=target.warehouse is not None)
    if target.search is None:
        raise PermanentError(f"stack {target.name} has no search index, so it has no documents to write anew")
    with margin().status("looking through processed/ and the index …"):
        processed = _processed(dataset, target)
        ports = target.store, target.leases, target.warehouse, target.search
        foreseen = foresee(*ports, dataset, processed, window)
    if dry_run:
        _foretell(index, foreseen, as_json=as_json)
        return
    written = _write(target, dataset, foreseen)
    if as_json:
        emit({"dataset": dataset.name, "index": index, **foreseen.to_json(), **written.to_json()})
    else:
        _show(index, foreseen, written)
    if written.refused or written.differences:
        raise typer.Exit(1)


def _processed(dataset: Dataset, target: Deployment) -> list[Arrival]:
    from penstock.flows.replay_dataset import Window, replayed

    if dataset.table is None:
        return replayed(target.store, (), dataset, Window())
    with target.rebuilding() as (rebuild, _):
        return replayed(target.store, rebuild.known(dataset), dataset, Window())


def _write(target: Deployment, dataset: Dataset, foreseen: Foreseen) -> Written:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from penstock.adapters.clock import SystemClock
    from penstock.flows.replay_documents import write_again

    assert target.search  # noqa: S101 - `replay_documents` has looked
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=margin(), transient=True) as progress:
        task = progress.add_task("writing documents", total=len(foreseen.wanted))
        tell = lambda done: progress.update(task, completed=done.files)  # noqa: E731 - one line, used once
        return write_again(target.store, target.warehouse, target.search, SystemClock(), dataset, foreseen, tell)


def _foretell(index: str, foreseen: Foreseen, *, as_json: bool) -> None:
    steps = []
    if foreseen.doomed:
        many, files = count(sum(foreseen.doomed.values())), count(len(foreseen.doomed))
        steps.append(f"remove {many} documents of {files} files that are known not to be loaded from index {index}")
    files, volume = count(len(foreseen.wanted)), size(sum(arrival.size for arrival in foreseen.wanted))
    steps.append(f"write the documents of {files} files of processed/, {volume}, into index {index}, over themselves")
    steps.append("remove what else carries the arrival of one of them, and count by arrival what is there")
    if foreseen.unknown:
        many, files = count(sum(foreseen.unknown.values())), count(len(foreseen.unknown))
        steps.append(f"leave {many} documents of {files} files that nothing else knows: those may have expired")
    if as_json:
        emit({"dry_run": True, "index": index, **foreseen.to_json(), "steps": steps})
        return
    screen().print("Would")
    for number, step in enumerate(steps, start=1):
        screen().print(indented(f"{number}. {harmless(step)}"))


def _show(index: str, foreseen: Foreseen, written: Written) -> None:
    console = screen()
    console.print(
        f"[bold]{index}[/]: {count(written.documents)} documents of {count(written.files)} files are written."
    )
    if foreseen.doomed:
        console.print(f"{count(sum(foreseen.doomed.values()))} of files that are not loaded are removed.")
    if foreseen.unknown:
        many = count(sum(foreseen.unknown.values()))
        console.print(f"[yellow]{many} carry arrivals that nothing else knows[/], and are left: penstock reconcile")
    if written.rejected:
        console.print(f"[dim]{count(written.rejected)} rows have none: the warehouse or the index refused them[/]")
    for key, reason in list(written.refused.items())[:SHOWN]:
        console.print(indented(f"[red]refused[/]  {harmless(key)}: {harmless(reason)}"))
    for key, (wanted, found) in list(written.differences.items())[:SHOWN]:
        console.print(indented(f"[red]differs[/]  {harmless(key)}: {count(wanted)} written, {count(found)} found"))
