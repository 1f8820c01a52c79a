"""What ingest.asl.yaml and backfill.asl.yaml have in common, letter by letter: a batch's steps, and a run's end.

Step Functions has no include, and a nested execution for each batch would cost transitions. So the text stands in both;
ingest's is the one that is edited: `python -m tests.workflow.shared_steps` copies it into backfill's.
"""

from __future__ import annotations

from pathlib import Path

from tests.workflow.definition import BACKFILL, PATH

_SHARED = (
    ("      StartAt: Load and index\n", "    ResultPath: null\n    Next: Sum up the run\n", "    ResultWriter:\n"),
    ("  Sum up the run:\n", "", ""),
)
"""Each from its first line to a line that is not in it any more: ingest's, and backfill's; empty is the file's end."""


def shared_by(path: Path) -> list[str]:
    """The parts, as they stand in one of the two."""
    text = path.read_text()
    return [text[start:end] for start, end in _spans(path, text)]


def _spans(path: Path, text: str) -> list[tuple[int, int]]:
    spans = []
    for first, in_ingest, in_backfill in _SHARED:
        after = in_ingest if path == PATH else in_backfill
        start = text.index(first)
        spans.append((start, text.index(after, start) if after else len(text)))
    return spans


def main() -> None:
    text = BACKFILL.read_text()
    for (start, end), part in reversed(list(zip(_spans(BACKFILL, text), shared_by(PATH), strict=True))):
        text = text[:start] + part + text[end:]
    BACKFILL.write_text(text)


if __name__ == "__main__":
    main()
