"""`make faults`: the campaign in two halves side by side, then docs/faults.md from what they found."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.report import PAGE, page_of

HALVES = 2
"""A case waits more than it works: as many stacks as a laptop has cores."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=55.0, help="begin no case after so long")
    parser.add_argument("--results", type=Path, help="keep the halves' results in this folder")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="penstock-campaign-") as base:
        folder = given.results or Path(base)
        folder.mkdir(parents=True, exist_ok=True)
        files = [folder / f"half-{half}.jsonl" for half in range(1, HALVES + 1)]
        halves = []
        for half, file in enumerate(files, 1):
            file.unlink(missing_ok=True)
            share = ["--share", f"{half}/{HALVES}", "--minutes", str(given.minutes), "--results", str(file)]
            halves.append(subprocess.Popen([sys.executable, "-m", "tests.faults.campaign", *share]))
        status = max(half.wait() for half in halves)
        found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    given.page.write_text(page_of(found))
    sys.stdout.write(f"{given.page} is written\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
