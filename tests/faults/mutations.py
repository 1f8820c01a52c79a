"""`python -m tests.faults.mutations`: takes each protection out, looks who notices, and writes docs/mutations.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.mutation_kinds import MEMORY, POSTGRES
from tests.faults.mutation_list import MUTATIONS

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "mutations.md"
_SCHEDULES = {MEMORY: 2000, POSTGRES: 200}
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Caught:
    """`by` is empty when nobody noticed."""

    name: str
    by: str
    after: int
    said: str
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="these alone; then the page is left as it is")
    parser.add_argument("--child", nargs=2, metavar=("WHERE", "SCHEDULES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return _schedules(given.child[0], int(given.child[1]))
    names = given.names or list(MUTATIONS)
    found = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for caught in pool.map(_caught, names):
            found.append(caught)
            verdict = f"caught by {caught.by} {_after(caught)}".rstrip() if caught.by else "NOT CAUGHT"
            print(f"{caught.name}: {verdict} in {caught.seconds:.0f} s", flush=True)  # noqa: T201 - a command's own words
    if not given.names:
        _PAGE.write_text(_page(found))
    missed = [caught.name for caught in found if not caught.by]
    print(f"{len(found) - len(missed)} of {len(found)} caught" + (f"; missed: {missed}" if missed else ""))  # noqa: T201 - a command's own words
    return bool(missed)


def _caught(name: str) -> Caught:
    begun = time.monotonic()
    environment = {**os.environ, "PENSTOCK_MUTATION": name}
    for by in MUTATIONS[name].by:
        if by in _SCHEDULES:
            command = ["-m", "tests.faults.mutations", "--child", by, str(_SCHEDULES[by])]
        else:
            command = ["-m", "pytest", "-x", "-q", "-p", "tests.faults.mutating", "-p", "no:cacheprovider", by]
        done = subprocess.run(
            [sys.executable, *command], cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - begun
        if by in _SCHEDULES and done.returncode == 1 and done.stdout.startswith("{"):
            told = json.loads(done.stdout)
            return Caught(name, by, told["schedules"], told["said"], seconds)
        if by not in _SCHEDULES and done.returncode == 1:
            test = re.search(r"^FAILED ([^\s\[]+)(?:\[(.*?)\](?: - |$))?", done.stdout, re.MULTILINE)
            if test:
                return Caught(name, test[1], 0, test[2] or "", seconds)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"{name} by {by}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Caught(name, "", 0, "", time.monotonic() - begun)


def _schedules(where: str, schedules: int) -> int:
    """In a process whose imports are mutated: 1 and what was seen when a schedule fails."""
    # Here, and not above: nothing of penstock may be imported before the mutation is.
    import tests.faults.mutating  # noqa: F401 - importing it mutates
    from tests.faults.schedules.__main__ import postgres_bench
    from tests.faults.schedules.campaign import failure_of
    from tests.faults.schedules.choices import Choices
    from tests.faults.schedules.warehouses import Bench, FakeBench

    def until_one_fails(bench: Bench) -> int:
        for seed in range(schedules):
            if failure := failure_of(bench, Choices(seed)):
                print(json.dumps({"schedules": seed + 1, "said": failure.what}))  # noqa: T201 - a command's own words
                return 1
        return 0

    if where == MEMORY:
        return until_one_fails(FakeBench())
    with postgres_bench() as bench:
        return until_one_fails(bench)


def _page(found: Iterable[Caught]) -> str:
    lines = [
        "# Mutations",
        "",
        "A test that has never failed proves little. Each line is a protection that was taken out of the code while",
        "it was imported (`tests/faults/mutation_list.py`), and who noticed first. `python -m tests.faults.mutations`",
        "writes this page. Random schedules begin with seed 0: each number can be tried again.",
        "",
        "| taken out | caught by | after | what it said |",
        "|---|---|---|---|",
    ]
    for caught in found:
        said = re.sub(r"[0-9a-f]{32}", "…", caught.said).replace("|", "\\|").replace("\n", " ")
        said = f"{said[:110]}…" if len(said) > 110 else said
        by = f"`{caught.by}`" if caught.by.startswith("tests/") else caught.by or "**nobody**"
        lines.append(f"| {MUTATIONS[caught.name].what} | {by} | {_after(caught)} | {said} |")
    return "\n".join(lines) + "\n"


def _after(caught: Caught) -> str:
    if not caught.by or caught.by.startswith("tests/"):
        return ""
    return f"{caught.after} schedule{'s' if caught.after > 1 else ''}"


if __name__ == "__main__":
    sys.exit(main())
