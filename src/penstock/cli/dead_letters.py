"""`penstock dead-letters`: what could not be delivered, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.options import LOCAL, AsJson, OnAws, StackName
from penstock.cli.screen import clock_time, count, emit, harmless, indented, screen
from penstock.cli.target import deployment

if TYPE_CHECKING:
    from penstock.local.dead_letters import DeadLetter


_SHOWN, _LONGEST = 5, 2_000
"""Records of a letter that are shown, and characters of one; --json has all."""


class Action(StrEnum):
    LIST = "list"
    SHOW = "show"
    REDRIVE = "redrive"


def dead_letters(
    action: Annotated[
        Action, typer.Argument(help="list names them; show adds what they hold; redrive sends them again.")
    ] = Action.LIST,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Say what redrive would do with each, and do nothing.")
    ] = False,
    may_count_twice: Annotated[
        bool,
        typer.Option("--may-count-twice", metavar="", help="Redrive also what the stream may have counted already."),
    ] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="Take at most so many.")] = 100,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    as_json: AsJson = False,
) -> None:
    """Show what a queue, a rule, a topic or a function could not deliver, and why; or send it again.

    No file is ever lost by it: what is in incoming/ is listed every minute. First mend what the letters name.
    Of a stream they are lines that are no events, and records that were given up: show reads those back.

    [dim]$ penstock dead-letters
    $ penstock dead-letters show
    $ penstock dead-letters redrive --dry-run[/dim]
    """
    from penstock.local import dead_letters as queues

    target = deployment(stack, aws=aws)
    if action is not Action.REDRIVE or dry_run:
        letters = queues.read(target, limit)
        texts = {letter.id: letter.texts() for letter in letters} if action is Action.SHOW else {}
        if as_json:
            told = [letter.to_json() | ({"holds": texts[letter.id]} if texts else {}) for letter in letters]
            emit({"waiting": queues.waiting(target), "dead_letters": told})
        else:
            _show(letters, queues.waiting(target), texts, would=action is Action.REDRIVE, twice=may_count_twice)
        return
    moved = queues.move_arrivals(target)
    done, left = queues.redrive(target, limit, may_count_twice=may_count_twice)
    if as_json:
        emit(
            {
                "moved_by_sqs": moved or 0,
                "redriven": [letter.to_json() for letter in done],
                "left": [letter.to_json() for letter in left],
            }
        )
        return
    console = screen()
    if moved:
        console.print(f"SQS moves {count(moved)} messages back into the arrivals queue")
    for letter in done:
        console.print(f"{letter.source}: {letter.then}", markup=False)
    if left:
        console.print("\nleft where they are:")
        _letters(left, {}, would=False, twice=False)
    if not (moved or done or left):
        console.print("There are no dead letters.")


def _show(
    letters: Sequence[DeadLetter],
    waiting: Mapping[str, int],
    texts: Mapping[str, Sequence[str]],
    *,
    would: bool,
    twice: bool,
) -> None:
    console = screen()
    if not letters:
        console.print("There are no dead letters.")
        return
    _letters(letters, texts, would=would, twice=twice)
    total = max(sum(waiting.values()), len(letters))
    more = f", the first {count(len(letters))} shown (--limit)" if total > len(letters) else ""
    console.print(f"[dim]{count(total)} dead letter{'s' if total != 1 else ''}{more}[/]")
    if not would:
        console.print("Mend what they name, then: penstock dead-letters redrive")


def _letters(letters: Sequence[DeadLetter], texts: Mapping[str, Sequence[str]], *, would: bool, twice: bool) -> None:
    console = screen()
    for letter in letters:
        console.print(f"[bold]{clock_time(letter.sent)}[/]  {harmless(letter.source)}", soft_wrap=True)
        if letter.why:
            console.print(indented(harmless(letter.why), by=2))
        for text in texts.get(letter.id, [])[:_SHOWN]:
            console.print(indented(harmless(text[:_LONGEST]), by=4), style="dim", soft_wrap=True)
        if len(texts.get(letter.id, [])) > _SHOWN:
            console.print(indented(f"and {count(len(texts[letter.id]) - _SHOWN)} more records: --json has them", by=4))
        if letter.redrive is None:
            console.print(indented(f"[yellow]{harmless(letter.then)}[/]", by=2))
        elif would and letter.doubt and not twice:
            console.print(indented(f"[yellow]would leave it: {harmless(letter.doubt)}[/]", by=2))
        elif would:
            console.print(indented(f"would {harmless(letter.then)}", by=2))
