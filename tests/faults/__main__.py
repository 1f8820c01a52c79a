"""A fault at every point, one at a time, on several stacks at once: `python -m tests.faults` (`make faults`).

The whole campaign writes docs/faults.md, or docs/faults-redshift.md; `--only` and `--count` play a part of it, and
write nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.campaign import Campaign
from tests.faults.cases import Case, Result, cases_of
from tests.faults.deployment import Warehouse, faulty_stack, revision
from tests.faults.report import PAGES, page_of
from tests.faults.scenarios import SCENARIOS
from tests.faults.side_by_side import side_by_side

STACKS = 4
"""They keep two cores three quarters busy; with more, steps begin to time out that nobody delays."""
TOLD_EACH = 100
"""Cases."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="one case, by the name that a failure shows, or those that begin so")
    parser.add_argument("--count", type=int, help="at most so many cases")
    parser.add_argument("--stacks", type=int, default=STACKS, help="how many cases are played at once")
    parser.add_argument("--minutes", type=float, default=90.0, help="begin no case after so long")
    parser.add_argument("--warehouse", choices=("postgres", "redshift"), default="postgres")
    parser.add_argument("--results", type=Path, help="write a line of JSON for each case to this file")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    until = began + given.minutes * 60
    reference, cases = _reference(given.only.split("/")[0], given.warehouse)
    _say(f"{reference['cases']:,} cases at {sum(reference['points'].values())} points")
    chosen = [case for case in cases if f"{case.name}/".startswith(given.only)][: given.count]
    told = _Told([reference], given.results)
    broken = _play(chosen, given.stacks, until, told, given.warehouse)
    if broken:
        _say(f"{len(broken)} broke, and are played again alone")
        _play(broken, 1, until, told, given.warehouse, alone=True)
    told.add({"seconds": round(time.monotonic() - began), "stacks": given.stacks})
    if not given.only and given.count is None:
        PAGES[given.warehouse].write_text(page_of(told.lines))
        _say(f"{PAGES[given.warehouse]} is written")
    return 1 if told.wrong else 0


def _reference(only: str, warehouse: Warehouse) -> tuple[dict[str, Any], list[Case]]:
    """What is to be broken: every call of a run of each scenario in which nothing is."""
    with faulty_stack(warehouse=warehouse) as faulty:
        runs = Campaign(faulty)
        # What is in both of two: in the first, and where a step timed out on a busy machine, there is more.
        points = {
            scenario: sorted({*runs.points(scenario)} & {*runs.points(scenario)})
            for scenario in SCENARIOS
            if scenario.startswith(only)
        }
    cases = cases_of(points)
    totals = {name: len(found) for name, found in points.items()}
    return {"warehouse": warehouse, "revision": revision(), "points": totals, "cases": len(cases)}, cases


class _Told:
    """The results' lines, as the page is written from."""

    def __init__(self, lines: list[dict[str, Any]], file: Path | None) -> None:
        self.lines: list[dict[str, Any]] = []
        self._file = file
        if file:
            file.write_text("")
        for line in lines:
            self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if self._file:
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")

    @property
    def wrong(self) -> bool:
        """Also when it held alone: who broke among others has to be looked at."""
        return any(line.get("wrong") or line.get("leaked") for line in self.lines)


def _play(
    cases: Sequence[Case], stacks: int, until: float, told: _Told, warehouse: Warehouse, *, alone: bool = False
) -> list[Case]:
    """Those that broke."""
    broken: list[Case] = []
    done = 0
    began = time.monotonic()
    for found in side_by_side(cases, stacks, until, warehouse):
        if not isinstance(found, Result):
            if found:
                told.add({"leaked": found})
                _say(f"WRONG {found[:3]}")
            continue
        done += 1
        told.add(found.to_json() | {"alone": alone})
        if found.wrong:
            broken.append(found.case)
            _say(f"BROKEN {found.case.name} ({found.seconds:.1f} s)")
            for trouble in found.wrong:
                _say(f"    {trouble}")
            _say(f"    again: python -m tests.faults --only '{found.case.name}'")
        elif done % TOLD_EACH == 0:
            _say(f"{done:,} of {len(cases):,} cases in {time.monotonic() - began:.0f} s, {len(broken)} broken")
    _say(f"{done:,} cases, {done - len(broken):,} held, {len(broken)} broken, {time.monotonic() - began:.0f} s")
    if done < len(cases):
        _say(f"{len(cases) - done:,} were NOT played: the time was over")
    return broken


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
