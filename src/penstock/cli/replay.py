"""`penstock replay`: a dataset's table is built anew from processed/, compared, and put in its place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.replay_documents import replay_documents
from penstock.cli.screen import count, emit, harmless, indented, margin, screen, size, table
from penstock.cli.target import deployment
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.flows.replay_dataset import Loaded
    from penstock.model.datasets import Dataset
    from penstock.model.plans import Batch
    from penstock.model.replays import Comparison

SHOWN = 20


def replay(
    dataset: Annotated[str, typer.Option("--dataset", "-d", metavar="NAME", help="Whose table is built anew.")],
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Only files that came at or after it, as 2026-01-31 or 2026-01-31T18:00Z."),
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Only files that came before it.")] = "",
    into: Annotated[
        str, typer.Option(metavar="TABLE", help="The new table. By default the dataset's own name and _replay.")
    ] = "",
    swap: Annotated[
        bool, typer.Option("--swap", metavar="", help="Then put the new table in the old one's place, which is kept.")
    ] = False,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", metavar="", help="Swap also when the two tables differ.")
    ] = False,
    documents: Annotated[
        bool, typer.Option("--documents", metavar="", help="Write the index anew instead of the table.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Say what would be done, and do nothing.")] = (
        False
    ),
    stack: StackName = LOCAL,
    aws: OnAws = False,
    datasets: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Build a dataset's table anew from processed/, beside the live one, and compare the two row by row.

    For when the table is lost, or the dataset's types or tolerance changed. Runs go on meanwhile. If it was stopped,
    run it again: it goes on where it was. Exits with 1 while the tables differ.

    With --documents it writes the dataset's own index anew instead, file by file, and removes the documents of files
    that are not loaded; done twice it is the same. Exits with 1 when a file was refused or the numbers differ.

    [dim]$ penstock replay --dataset flights --dry-run
    $ penstock replay --dataset flights
    $ penstock replay --dataset flights --swap
    $ penstock replay --dataset flights --documents
    $ penstock replay -d flights --since 2026-01-01 --until 2026-02-01 --into flights_january[/dim]
    """
    from penstock.adapters.clock import SystemClock
    from penstock.flows import replay_dataset as flow
    from penstock.model.dataset_files import load_datasets

    known = load_datasets(datasets)
    if dataset not in known:
        raise PermanentError(f"there is no dataset {dataset} in {datasets}/; there are {', '.join(known)}")
    live = known[dataset]
    if documents:
        if into or swap or accept_differences:
            raise PermanentError("--into, --swap and --accept-differences are of tables: documents go where they are")
        span = flow.Window(_time("--since", since), _time("--until", until))
        replay_documents(live, deployment(stack, aws=aws), span, dry_run=dry_run, as_json=as_json)
        return
    rebuilt = flow.rebuilt_dataset(live, into, known.values())
    window = flow.Window(_time("--since", since), _time("--until", until))
    target, clock = deployment(stack, aws=aws), SystemClock()
    with target.rebuilding() as (rebuild, warehouse):
        with margin().status("looking through processed/ …"):
            arrivals = flow.replayed(target.store, rebuild.known(live), live, window)
        batches = flow.batches_of(live, arrivals)
        views = rebuild.readers(live) if swap else []
        if dry_run:
            decided = {one.arrival for one in rebuild.known(rebuilt)}
            before = sum(arrival.id in decided for arrival in arrivals)
            _foretell(live, rebuilt, batches, before, views, swap=swap, as_json=as_json)
            return
        rebuild.prepare(rebuilt)
        loaded = _load(target.store, warehouse, rebuilt, batches)
        with margin().status("comparing …"):
            found = rebuild.compare(live, rebuilt)
        if not as_json:
            _show(live, rebuilt, loaded, found)
        kept = flow.swap(rebuild, clock, live, rebuilt, found, accept_differences=accept_differences) if swap else ""
    if as_json:
        emit(
            {
                "dataset": dataset,
                "table": _name(live),
                "into": _name(rebuilt),
                **loaded.to_json(),
                "comparison": found.to_json(),
                "kept_as": kept or None,
                "views_of_the_old_table": views if kept else [],
            }
        )
    elif kept:
        screen().print(f"\n[bold green]{_name(live)}[/] is the rebuilt table now; the old one is kept as {kept}.")
        for view in views:
            screen().print(f"  [yellow]view {harmless(view)} still reads the old table:[/] create it anew")
    elif found.equal:
        screen().print(f"\n[dim]penstock replay --dataset {dataset} --swap puts it in the live one's place[/]")
    # A window leaves out files, which is no difference; for a swap it is one.
    if not kept and (found.differing or (found.beyond and not (since or until))):
        raise typer.Exit(1)


def _load(store: Any, warehouse: Any, rebuilt: Dataset, batches: Sequence[Batch]) -> Loaded:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from penstock.flows.replay_dataset import load_again

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=margin(), transient=True) as progress:
        files = sum(len(batch.arrivals) for batch in batches)
        task = progress.add_task(f"loading into {_name(rebuilt)}", total=files)
        return load_again(store, warehouse, rebuilt, batches, lambda done: progress.update(task, completed=done.files))


def _foretell(
    live: Dataset,
    rebuilt: Dataset,
    batches: Sequence[Batch],
    before: int,
    views: Sequence[str],
    *,
    swap: bool,
    as_json: bool,
) -> None:
    files = sum(len(batch.arrivals) for batch in batches)
    steps = [
        f"create table {_name(rebuilt)} as dataset {live.name} has it, if it isn't there",
        f"load {count(files - before)} of the {count(files)} files of processed/{live.name}/ that are asked for, of "
        f"{size(sum(batch.size for batch in batches))} and in {count(len(batches))} batches, in the order in which "
        f"the ledger of {_name(live)} decided them" + (f"; {count(before)} are there already" if before else ""),
        f"compare its rows with those of {_name(live)}, by arrival",
    ]
    if swap:
        renames = f"{_name(live)} to {_name(live)}_before_<time>, {_name(rebuilt)} to {_name(live)}"
        steps.append(
            "if they are equal, or you accept the differences, and all that is loaded was replayed: in one transaction "
            f"with the ledger and both tables locked, rename {renames}, and their ledger rows with them; grant on the "
            "new table what is granted on the old one"
        )
        steps += [f"leave view {view} with the old table: create it anew" for view in views]
    if as_json:
        emit({"dry_run": True, "table": _name(live), "into": _name(rebuilt), "files": files, "steps": steps})
        return
    screen().print("Would")
    for number, step in enumerate(steps, start=1):
        screen().print(indented(f"{number}. {harmless(step)}"))


def _show(live: Dataset, rebuilt: Dataset, loaded: Loaded, found: Comparison) -> None:
    console = screen()
    already = f", {count(loaded.before)} of them before" if loaded.before else ""
    console.print(
        f"[bold]{_name(rebuilt)}[/] has {count(found.rebuilt_rows)} rows of {count(loaded.files)} files{already}; "
        f"{_name(live)} has {count(found.live_rows)}."
    )
    if loaded.rejects or loaded.duplicates:
        console.print(f"[dim]{count(loaded.rejects)} rows rejected, {count(loaded.duplicates)} files known before[/]")
    for key, reason in list(loaded.refused.items())[:SHOWN]:
        console.print(indented(f"[red]refused[/]  {harmless(key)}: {harmless(reason)}"))
    if len(loaded.refused) > SHOWN:
        console.print(f"[dim]… and {count(len(loaded.refused) - SHOWN)} more: --json names all[/]")
    if found.equal:
        console.print(f"[green]They are the same[/], row by row, in {count(len(found.columns))} columns.")
        return
    if found.differing:
        rows = f"{count(found.only_live)} rows only live, {count(found.only_rebuilt)} only rebuilt"
        console.print(f"[red]{count(found.differing)} files differ[/] ({rows}, of the first hundred):")
        made = table("file", "#live rows", "#rebuilt rows")
        for one in found.differences[:SHOWN]:
            made.add_row(harmless(one.key or one.arrival), count(one.live), count(one.rebuilt))
        console.print(made)
    if found.beyond:
        console.print(
            f"[yellow]{count(found.beyond)} files of the live table were not replayed[/] "
            f"({count(found.beyond_rows)} rows): outside of --since and --until, come since, or not in processed/."
        )


def _name(dataset: Dataset) -> str:
    return dataset.table.qualified if dataset.table else ""


def _time(name: str, text: str) -> datetime | None:
    """UTC where no zone is named."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentError(f"{name} {text} is no time. Write it as 2026-01-31 or 2026-01-31T18:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
