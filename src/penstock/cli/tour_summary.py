"""The demo's account as a person reads it: what was found, row for row, and what does not add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.padding import Padding

from penstock.cli.screen import count, harmless, indented, lasting, rows_table, shown, table
from penstock.cli.tour_events import events_cost, events_summary
from penstock.local.cost import PRICES_AS_OF, REGION, total

if TYPE_CHECKING:
    from penstock.local.demo.account import Account
    from penstock.local.demo.tour import Taste


def summary(account: Account, taste: Taste) -> Iterator[Any]:
    """Parts to print one after the other."""
    rows = sum(mine.rows_loaded for mine in account.datasets.values())
    documents = sum(mine.documents for mine in account.datasets.values())
    yield (
        f"\n[bold]{count(account.arrived)} files[/] became [bold]{count(rows)} rows[/] and "
        f"[bold]{count(documents)} documents[/] in [bold]{lasting(account.seconds)}[/]: "
        f"{count(round(rows / account.seconds))} rows a second.\n"
    )
    yield Padding(_datasets(account), (0, 0, 0, 2), expand=False)
    yield f"\n[bold]Quarantined[/] [dim]{len(account.quarantined)} files, in failed/ with their reasons beside them[/]"
    for found in account.quarantined:
        yield indented(f"[red]✗[/] {harmless(found.key.removeprefix('incoming/'))}")
        yield indented(f"[dim]{harmless(found.reason)}[/]", by=4)
    yield "\n[bold]Kicked off[/]"
    for kick_off in account.kick_offs:
        yield indented(f"[green]✓[/] for {kick_off['dataset']}: {harmless(kick_off['reference'])}")
    if not account.kick_offs:
        yield "  [dim]nothing[/]"
    yield from _taste(taste)
    if account.again:
        yield _again(account)
    if account.stream:
        yield from events_summary(account.stream)
    yield from _cost(account)
    if account.stream:
        yield from events_cost(account.stream)
    yield from _verdict(account)


def _datasets(account: Account) -> Any:
    made = table("dataset", "#files", "#rows in files", "#rows loaded", "#rejected", "#documents", "")
    for name, mine in account.datasets.items():
        adds_up = (
            mine.rows_loaded + mine.rows_rejected == mine.rows_in_files and mine.documents == mine.documents_expected
        )
        made.add_row(
            name,
            count(mine.files),
            count(mine.rows_in_files),
            count(mine.rows_loaded),
            count(mine.rows_rejected),
            count(mine.documents),
            "[green]✓[/]" if adds_up else "[bold red]✗[/]",
        )
    return made


def _taste(taste: Taste) -> Iterator[Any]:
    yield "\n[bold]In the warehouse[/] [dim]where flights from New York are late[/]"
    yield Padding(rows_table(taste.columns, taste.rows), (0, 0, 0, 2), expand=False)
    yield f"\n[bold]In the index[/] [dim]{taste.index}: {taste.words}[/]"
    for hit in taste.documents:
        fields = {name: value for name, value in hit["_source"].items() if not name.startswith("penstock_")}
        yield indented("  ".join(f"[dim]{name}[/] {harmless(shown(value))}" for name, value in fields.items()))


def _again(account: Account) -> str:
    again = account.again
    assert again is not None  # noqa: S101 - the caller asked
    good = not again.rows_added and not again.documents_added
    return (
        f"\n[bold]Put a second time[/] [dim]all {count(again.files)} files, {lasting(again.seconds)}[/]\n"
        f"  {'[green]✓[/]' if good else '[red]✗[/]'} {count(again.duplicates)} known before; "
        f"{count(again.rows_added)} rows and {count(again.documents_added)} documents added"
    )


def _cost(account: Account) -> Iterator[Any]:
    dollars = total(account.cost)
    million = dollars / account.arrived * 1_000_000
    yield (
        f"\n[bold]On AWS[/] this would cost about [bold]${dollars:.4f}[/], at the durations measured here "
        f"(${million:,.0f} for a million such files)"
    )
    made = table("service", "what was counted", "#dollars")
    for line in account.cost:
        made.add_row(line.service, line.what, f"{line.dollars:.6f}")
    yield Padding(made, (0, 0, 0, 2), expand=False)
    yield indented(
        f"[dim]List prices of {REGION}, {PRICES_AS_OF}, without the free tier; and without warehouse, search domain, "
        "storage, network and logs.[/]"
    )


def _verdict(account: Account) -> Iterator[Any]:
    statuses = {story.run.status for story in account.runs}
    runs = f"{count(len(account.runs))} run{'s' if len(account.runs) != 1 else ''}"
    if not account.problems:
        yield (
            f"\n[bold green]Everything adds up.[/] {runs}, all {', '.join(sorted(statuses)).lower()}; "
            f"{lasting(account.total_seconds)} from nothing to here."
        )
        return
    yield "\n[bold red]This does not add up:[/]"
    for problem in account.problems:
        yield indented(f"[red]✗[/] {harmless(problem)}")
