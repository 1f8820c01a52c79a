"""A run told to a person: how it ended, its batches, and what did not go well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.cli.screen import STYLE, clock_time, count, harmless, indented, lasting, size, styled, table
from penstock.model.outcomes import Settlement

if TYPE_CHECKING:
    from penstock.local.runs import BatchStory, RunStory

TROUBLES = 20
"""How many files that did not go well are named; `--json` names all."""


def story_view(story: RunStory) -> Iterator[Any]:
    """Parts to print one after the other."""
    run = story.run
    style = STYLE.get(run.status, "bold")
    took = f", took {lasting(run.lasted)}" if run.lasted else ", goes on"
    yield f"[bold]{run.id}[/]  [{style}]{run.status}[/]  started {clock_time(run.started)}{took}"
    retries = f", {count(story.history.retries)} of them retries" if story.history.retries else ""
    yield f"[dim]{count(story.history.transitions)} state transitions{retries}[/]\n"
    if story.error:
        yield f"[red]{harmless(story.error)}[/]\n"
    yield _batches(story)
    troubles = [
        (arrival.settlement, arrival.key, arrival.reason)
        for batch in story.batches
        for arrival in batch.arrivals
        if arrival.settlement is not Settlement.PROCESSED
    ]
    if troubles:
        yield ""
    for settlement, key, reason in troubles[:TROUBLES]:
        style = STYLE[str(settlement)]
        yield f"[{style}]{str(settlement).replace('_', ' '):<8}[/]  {harmless(key)}"
        yield indented(harmless(reason), by=10)
    if len(troubles) > TROUBLES:
        yield f"[dim]and {count(len(troubles) - TROUBLES)} more: --json[/]"
    for dataset, reference in story.kick_offs.items():
        became = story.after.get(dataset, "")
        yield f"\nkicked off for {dataset}: [bold]{harmless(reference)}[/] [{STYLE.get(became, 'bold')}]{became}[/]"


def _batches(story: RunStory) -> Any:
    made = table("#batch", "dataset", "#files", "#size", "settled", "#rows", "#rejects", "#documents")
    for batch in story.batches:
        made.add_row(
            str(batch.batch.number),
            batch.batch.dataset,
            count(len(batch.batch.arrivals)),
            size(batch.batch.size),
            _settled(batch),
            count(sum(arrival.rows for arrival in batch.arrivals)),
            count(sum(arrival.rejects for arrival in batch.arrivals)),
            count(sum(arrival.documents for arrival in batch.arrivals)),
        )
    return made


def _settled(batch: BatchStory) -> Any:
    """`48 processed, 2 failed`; which of them were duplicates is said too."""
    if batch.settled is None:
        return styled("not yet")
    parts = []
    for settlement in Settlement:
        number = batch.count(settlement)
        if number:
            parts.append(f"[{STYLE[str(settlement)]}]{count(number)} {str(settlement).replace('_', ' ')}[/]")
    duplicates = sum(arrival.duplicate for arrival in batch.arrivals)
    if duplicates:
        parts.append(f"[dim]{count(duplicates)} known before[/]")
    return ", ".join(parts)
