"""All commands in one place, and one way out for what goes wrong: a sentence and an exit code, no traceback.

Exit codes: 0 done; 1 it failed, or numbers don't add up; 2 the command was not understood; 130 Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from penstock.cli import ask, describe, follow, stack, tour
from penstock.cli.failures import explained
from penstock.cli.screen import complain


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
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

_LAPTOP, _FILES, _ANSWERS, _DATASETS = "The laptop", "Files and runs", "What is loaded", "Datasets"

app.command(rich_help_panel=_LAPTOP)(tour.demo)
app.command(rich_help_panel=_LAPTOP)(stack.up)
app.command(rich_help_panel=_LAPTOP)(stack.down)
app.command(rich_help_panel=_FILES)(follow.put)
app.command(rich_help_panel=_FILES)(follow.status)
app.command(rich_help_panel=_FILES)(follow.runs)
app.command(rich_help_panel=_FILES)(follow.run)
app.command(rich_help_panel=_ANSWERS)(ask.query)
app.command(rich_help_panel=_ANSWERS)(ask.search)
app.command(rich_help_panel=_DATASETS)(describe.apply)
app.command(rich_help_panel=_DATASETS)(describe.infer)
app.command(rich_help_panel=_DATASETS)(describe.schema)


def main() -> None:
    """The entry point `penstock`."""
    try:
        app()
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has enough of it: `penstock query … | head`.
        sys.stderr.close()
        sys.exit(0)
