"""What Markdown says: its commands, its links, and where they lead."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ENDS = frozenset("|&;><()")


@dataclass(frozen=True)
class Said:
    """A command, and where it stands."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.words)}"


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows, or would."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for name in names if (path := REPOSITORY / name).is_file()]


def commands(page: Path, program: str) -> Iterator[Said]:
    """Those that stand at a line's beginning in a block, or are a whole span of code."""
    text = page.read_text()
    for block in _FENCE.finditer(text):
        yield from _of(page, text, block.start(), block[0].replace("\\\n", " ").splitlines(), program)
    for span in _SPAN.finditer(_FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)):
        yield from _of(page, text, span.start(), [" ".join(span[1].split())], program)


def _of(page: Path, text: str, at: int, lines: list[str], program: str) -> Iterator[Said]:
    where = f"{page.relative_to(REPOSITORY)}:{text.count(chr(10), 0, at) + 1}"
    for line in lines:
        if words := _command(line.strip().removeprefix("$ "), program):
            yield Said(where, words)


def _command(line: str, program: str) -> tuple[str, ...]:
    """The words behind `program`, up to a pipe or an explanation; none where the line is no such command."""
    if not re.match(rf"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?{re.escape(program)} ", line):
        return ()
    alone = re.split(r" {2,}", line)[0].replace("[", "").replace("]", "")
    reader = shlex.shlex(alone, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    words = list(reader)
    while "=" in words[0]:
        words.pop(0)
    words = words[len(program.split()) :]
    ends = (number for number, word in enumerate(words) if set(word) <= _ENDS)
    return tuple(words[: next(ends, len(words))])


def yaml_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def names(page: Path) -> Iterator[str]:
    """What in its spans of code has two words, `CamelCase` or `with_underscores`, and is no part of a pattern."""
    for span in _SPAN.findall(_FENCE.sub("", page.read_text())):
        yield from re.findall(r"(?<![\w.<{*,-])\w*(?:[a-z][A-Z]|[a-z]_[a-z])\w*(?![\w>*…<,}])", span)


def links(page: Path) -> Iterator[str]:
    """But for those into the web."""
    text = _FENCE.sub("", page.read_text())
    yield from (link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings, and those that the page sets itself."""
    text = _FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    of_headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
    return of_headings | set(re.findall(r'<a id="([^"]+)">', text))
