"""All commands in one place, and one way out for what goes wrong: a sentence and an exit code, no traceback.

Exit codes: 0 done; 1 it failed, or numbers don't add up; 2 the command was not understood; 130 Ctrl-C.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from penstock.cli import (
    ask,
    backfill,
    cost,
    counts,
    dead_letters,
    deploy,
    describe,
    explain,
    follow,
    produce,
    reconcile,
    releases,
    replay,
    retry,
    stack,
    tour,
)
from penstock.cli.failures import explained
from penstock.cli.screen import complain


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(130) from None
        except Exception as error:
            sentence = explained(error)
            if sentence is None:
                raise
            complain(sentence)
            raise typer.Exit(1) from None

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which a person meets them, and not by the alphabet."""
        return list(self.commands) if ctx is not None else []


app = typer.Typer(
    cls=_Commands,
    name="penstock",
    help=(
        "Files dropped in S3 become rows and documents, each exactly once.\n\n"
        "Try it: [bold]penstock demo[/bold]. Your own files: [bold]penstock up[/bold], then "
        "[bold]penstock put FILE --dataset NAME --wait[/bold]."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(command: Callable[..., None], panel: str, cls: type[TyperCommand] = TyperCommand) -> None:
    """Its help is its docstring, with the lines of a paragraph joined: the screen's width decides where they end."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    joined = [text if "$ " in text else " ".join(text.splitlines()) for text in paragraphs]
    app.command(cls=cls, rich_help_panel=panel, help="\n\n".join(joined))(command)


_LAPTOP, _FILES, _ANSWERS, _DATASETS = "The laptop", "Files and runs", "What is loaded", "Datasets"
_MENDING = "When something is wrong"

_add(tour.demo, _LAPTOP)
_add(stack.up, _LAPTOP)
_add(stack.down, _LAPTOP)
_add(cost.cost, _LAPTOP, cost.CostCommand)
_add(deploy.deploy, _LAPTOP)
_add(releases.releases, _LAPTOP)
_add(follow.put, _FILES)
_add(follow.status, _FILES)
_add(follow.runs, _FILES)
_add(follow.run, _FILES)
_add(backfill.backfill, _FILES)
_add(produce.produce, _FILES)
_add(counts.counts, _ANSWERS)
_add(ask.query, _ANSWERS)
_add(ask.search, _ANSWERS)
_add(reconcile.reconcile, _MENDING)
_add(retry.retry, _MENDING)
_add(replay.replay, _MENDING)
_add(dead_letters.dead_letters, _MENDING)
_add(describe.apply, _DATASETS)
_add(describe.infer, _DATASETS)
_add(explain.explain, _DATASETS)
_add(describe.schema, _DATASETS)


def main() -> None:
    """The entry point `penstock`."""
    try:
        app()
    except BrokenPipeError:
        # Whoever read the output has enough of it: `penstock query … | head`.
        sys.stderr.close()
        sys.exit(0)
