"""What a person sees: consoles, tables and units. No colour and no cursor movement where there is no terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

NOTHING = "\N{EN DASH}"
"""Stands where there is no number to show."""

_WIDE = 400
"""Columns where output goes to a file: nothing is cut there for a screen's sake."""


def screen() -> Console:
    """stdout, for answers."""
    return _console(stderr=False)


def margin() -> Console:
    """stderr, for progress and for what is no answer, so that stdout can be piped."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else _WIDE)


def emit(document: Any) -> None:
    """Writes JSON to stdout: indented for a person, still JSON for a machine."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")


def complain(sentence: str) -> None:
    """An error, on stderr."""
    console = margin()
    text = Text("error: ", style="bold red").append(Text(sentence, style="not bold default"))
    console.print(text, soft_wrap=True)


def table(*columns: str, title: str | None = None) -> Table:
    """A table without walls. A column whose name begins with `#` holds numbers and is set flush right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold",
        show_edge=False,
    )
    for column in columns:
        numbers = column.startswith("#")
        made.add_column(column.removeprefix("#"), justify="right" if numbers else "left", no_wrap=numbers)
    return made


def rows_view(names: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> Any:
    """Rows of a query as a table, or each as a block where the table is wider than the screen."""
    made = rows_table(names, rows)
    console = screen()
    if not rows or console.measure(made, options=console.options.update(max_width=10_000)).maximum <= width:
        return made
    blocks: list[Any] = []
    for number, row in enumerate(rows, start=1):
        block = Table(title=f"row {number}", title_justify="left", title_style="dim", box=None, show_header=False)
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            block.add_row(name, _cell(value))
        blocks.append(block)
    return Group(*blocks)


def rows_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Rows of a query; NULL is told apart from an empty text."""
    rows = list(rows)
    numeric = [all(isinstance(row[place], int | float | None) for row in rows) for place in range(len(names))]
    made = table(*(f"#{name}" if right else name for name, right in zip(names, numeric, strict=True)))
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: Any) -> Text:
    return Text("NULL", style="dim") if value is None else Text(_inert(shown(value)))


def shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def count(number: int | None) -> str:
    """With thousands apart; a dash for what there is not."""
    return NOTHING if number is None else f"{number:,}"


def harmless(text: str) -> str:
    """What somebody else has written, as it can be shown: a terminal obeys no character of it, and rich none."""
    return escape(_inert(text))


def _inert(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


def size(number: int) -> str:
    amount = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def lasting(span: timedelta | float) -> str:
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def clock_time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


STYLE = {
    "RUNNING": "cyan",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "ABORTED": "yellow",
    "MISSING": "dim",
    "processed": "green",
    "failed": "red",
    "put_back": "yellow",
}


def indented(markup: str, by: int = 2) -> Padding:
    """Text that keeps its indentation where it goes on in the next line."""
    return Padding(Text.from_markup(markup), (0, 0, 0, by), expand=False)


def styled(word: str) -> Text:
    return Text(word, style=STYLE.get(word, ""))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
