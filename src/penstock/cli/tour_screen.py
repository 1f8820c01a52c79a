"""The demo while it goes on: a line for each dataset, moving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.text import Text

from penstock.cli.screen import count, lasting, table

if TYPE_CHECKING:
    from penstock.local.demo.drive import Look


def look_view(look: Look) -> Any:
    """Fits 80 columns. The bar is of files that are settled; the rates are of the last seconds."""
    made = table("dataset", "#put", "#processed", "#failed", "", "#rows", "#documents")
    for name, found in look.status.datasets.items():
        wanted = look.to_put.get(name, 0)
        settled = found.processed + found.failed - look.before.get(name, 0)
        done = wanted > 0 and settled >= wanted
        made.add_row(
            Text(name, style="green" if done else ""),
            count(look.put.get(name, 0)),
            count(found.processed),
            Text(count(found.failed), style="red" if found.failed else "dim"),
            ProgressBar(total=max(wanted, 1), completed=settled, width=14, complete_style="cyan"),
            count(found.rows),
            count(found.documents),
        )
    live = len(look.status.running)
    line = Text.assemble(
        (f"{lasting(look.seconds):>7}", "bold"),
        ("   rows/s ", "dim"),
        f"{look.rows_rate:>9,.0f}",
        ("   documents/s ", "dim"),
        f"{look.documents_rate:>9,.0f}",
        (f"   {live} run{'s' if live != 1 else ''} live", "cyan" if live else "dim"),
    )
    return Group(made, "", line)
