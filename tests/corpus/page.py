"""docs/bad-input.md, from the cases: what a file is like, what happens to it, and the reason that is shown."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.case import Case, Outcome
from tests.corpus.cases import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"

_HEAD = """# Bad input, and what happens to it

Written by `python -m tests.corpus` from `tests/corpus/of_*.py`; change those, not this. Every line is a test: the file
goes through a load into PostgreSQL, the search branch and settling, between good files of its batch, which are loaded.

- **loaded**: the file is moved to `processed/`. Rows that could not be loaded are in
  `failed/<dataset>/…rejects.jsonl`, each with file, line, column, reason and its text.
- **quarantined**: nothing of the file is in the table or the index. It is moved to `failed/`, and the reason stands
  beside it in `….reason.json`; rejects, where rows are at fault, in `….rejects.jsonl`.

A file is quarantined when more of its rows are rejected than `max_reject_ratio` allows (by default none may be; the
datasets of these cases allow nine tenths, so that the table shows each reject). Where a dataset has a table, the
warehouse judges values. An index can't hold some that it takes (`NaN`, `Jan 5, 2023`): their documents have null in
that field. A date means the same on every day and in every place (ADR 25): words such as `today` are rejected, and
`01/02/2023` is unless the dataset says `date_order: mdy` or `dmy`. Limits against files that would use up a reader are
set per dataset, and are these by default:

```yaml
limits:
  max_uncompressed: 10 GiB  # what a compressed file may unpack to
  max_ratio: 500            # how many bytes each compressed byte may become, in a file that unpacks to over 8 MiB
  max_row: 16 MiB           # the longest row, give or take the 256 KiB that are read at a time
  max_row_group: 256 MiB    # what a row group of a Parquet file may unpack to
```

A reason of a whole file goes into states, mails and logs, and quotes no row. Raw text is in the rejects alone.
"""


def page() -> str:
    parts = [_HEAD]
    for kind, cases in KINDS.items():
        parts.append(f"\n## {kind}\n\n| input | what happens | reason shown |\n|---|---|---|\n")
        parts += [_line(case) for case in cases]
    return "".join(parts)


def write() -> bool:
    """Whether it was not current."""
    text = page()
    changed = not PAGE.exists() or PAGE.read_text() != text
    if changed:
        PAGE.write_text(text)
    return changed


def _line(case: Case) -> str:
    return f"| {_cell(case.what)} | {_happens(case.outcome)} | {_cell(_reason(case.outcome))} |\n"


def _happens(outcome: Outcome) -> str:
    if outcome.reason:
        return "quarantined"
    rows = f"{outcome.rows} {'row' if outcome.rows == 1 else 'rows'} loaded"
    return f"{rows}, {len(outcome.rejects)} rejected" if outcome.rejects else rows


def _reason(outcome: Outcome) -> str:
    if outcome.reason:
        return outcome.reason
    lines: dict[str, list[str]] = {}
    for line, column, reason in outcome.rejects:
        lines.setdefault(f"{column}: {reason}" if column else reason, []).append(str(line))
    return "; ".join(f"line {', '.join(numbers)}: {reason}" for reason, numbers in lines.items())


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
