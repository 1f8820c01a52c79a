"""A fault at every point, one at a time: `python -m tests.faults.campaign` (`make faults`).

A reference run of each scenario, in which nothing is broken, finds the points. Then each is broken in each way, with
fresh files, on a stack that is kept; the system runs on, and the invariants are checked.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.faults.checker import leaked_in_logs, without_kick_off, wrong
from tests.faults.deployment import REPOSITORY, FaultyStack, faulty_stack
from tests.faults.kinds import Fault, Point
from tests.faults.scenarios import SCENARIOS, Put

ROUNDS = 8
"""Listings in which a case has to come to its end: five attempts and some."""
LONGEST_WAIT = 3700.0
"""Seconds: longer than any put-back arrival waits, shorter than a run's leases last."""
PAST_THE_LISTING = 150.0
"""Seconds: longer than a listing's lease."""


@dataclass(frozen=True)
class Case:
    scenario: str
    point: Point
    fault: Fault

    @property
    def name(self) -> str:
        """What `--only` takes."""
        return f"{self.scenario}/{self.point.function}/{self.point.call}/{self.point.nth}/{self.fault}"


@dataclass
class Result:
    case: Case
    made: bool = True
    """Whether the point was reached, and the fault made."""
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    runs: int = 0
    to_redrive: int = 0
    """Runs that FAILED before they kicked off what follows: a redrive does, and nothing else."""

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "scenario": self.case.scenario,
            **self.case.point.to_json(),
            "fault": self.case.fault,
            "made": self.made,
            "wrong": self.wrong,
            "seconds": round(self.seconds, 2),
            "runs": self.runs,
            "to_redrive": self.to_redrive,
        }


@dataclass(frozen=True)
class Played:
    """A case that is over. `executions` are those of its runs; `trouble` is why it did not come to rest."""

    name: str
    puts: Sequence[Put]
    executions: Sequence[str]
    trouble: list[str]


class Campaign:
    def __init__(self, faulty: FaultyStack) -> None:
        self._faulty = faulty
        self._number = 0

    def points(self, scenario: str) -> list[Point]:
        """Those of a run in which nothing is broken, which has to hold what it promises."""
        with self._faulty.recording() as points:
            found = self._run(scenario, None)
        if found.wrong:
            raise AssertionError(f"{scenario} without any fault: {found.wrong}")
        return sorted(points)

    def run(self, case: Case) -> Result:
        return self._run(case.scenario, case)

    def _run(self, scenario: str, case: Case | None) -> Result:
        began = time.monotonic()
        played = self.play(scenario, case)
        made = case is None or self._faulty.made(played.name)
        result = Result(case or Case(scenario, Point("", "", 0), Fault.FAIL_ONCE), made)
        result.wrong = played.trouble + wrong(self._faulty, played.name, played.puts, played.executions)
        result.runs = len(played.executions)
        result.to_redrive = len(without_kick_off(self._faulty, played.executions))
        result.seconds = time.monotonic() - began
        return result

    def play(self, scenario: str, case: Case | None = None) -> Played:
        """Puts the files, makes the fault, and lets the system run on until nothing is left to do."""
        self._number += 1
        name = f"c{self._number:05d}"
        known = set(self._faulty.executions())
        puts = self._put(name, scenario)
        if case:
            self._faulty.arm(name, case.point, case.fault)
        trouble = self._settle(name, case)
        self._faulty.heal()
        return Played(name, puts, [one for one in self._faulty.executions() if one not in known], trouble)

    def _put(self, name: str, scenario: str) -> list[Put]:
        s3, bucket = self._faulty.client("s3"), self._faulty.deployment.bucket
        return [
            Put(file, bucket, s3.put_object(Bucket=bucket, Key=file.key, Body=file.body)["VersionId"])
            for file in SCENARIOS[scenario](name)
        ]

    def _settle(self, name: str, case: Case | None) -> list[str]:
        """Lists, as the schedule does each minute, until nothing is left; a listing more has to find nothing."""
        faulty = self._faulty
        overtaken = case is not None and case.fault is Fault.DELAY and case.point.function == "list_incoming"
        if overtaken:
            faulty.list_incoming(wait=False)
            time.sleep(0.4)
            faulty.advance(PAST_THE_LISTING)
        for _ in range(ROUNDS):
            answer = faulty.list_incoming()
            if not faulty.await_quiet():
                return ["6: runs or invocations go on after a minute"]
            if case and case.fault is Fault.FAIL_ALWAYS and faulty.made(name):
                faulty.heal()
            if answer and answer["listed"] and not answer["plans"] and not faulty.left():
                return []
            if faulty.left() or not answer or not answer["listed"]:
                faulty.advance(LONGEST_WAIT if faulty.made(name) else 0)
        return [f"6: after {ROUNDS} listings {faulty.left()} files are still in incoming/"]


def cases_of(points: dict[str, list[Point]]) -> list[Case]:
    """All of them; those that are unlike any before come first, so that a campaign that is cut short saw most kinds."""
    by_kind: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for scenario, found in points.items():
        for point in found:
            for fault in point.faults:
                by_kind[point.function, point.call, fault].append(Case(scenario, point, fault))
    ordered: list[Case] = []
    order = random.Random(20131001)  # noqa: S311 - a fixed order and no secret
    for cases in by_kind.values():
        order.shuffle(cases)
    while by_kind:
        turn = [cases.pop(0) for cases in by_kind.values()]
        order.shuffle(turn)
        ordered += turn
        by_kind = {kind: cases for kind, cases in by_kind.items() if cases}
    return ordered


def campaign(
    chosen: str = "", share: tuple[int, int] = (0, 1), most: float = 3600.0, count: int | None = None
) -> Iterator[Result | dict[str, Any]]:
    """Yields the reference first (`{"points": …}`), then a Result a case, for at most `most` seconds."""
    until = time.monotonic() + most
    with faulty_stack() as faulty:
        runs = Campaign(faulty)
        scenarios = [chosen.split("/")[0]] if chosen else list(SCENARIOS)
        points = {scenario: runs.points(scenario) for scenario in scenarios}
        cases = cases_of(points)
        yield {
            "revision": _revision(),
            "points": {name: len(found) for name, found in points.items()},
            "cases": len(cases),
        }
        if chosen:
            cases = [case for case in cases if f"{case.name}/".startswith(chosen)]
        mine = [case for case in cases if crc32(case.name.encode()) % share[1] == share[0]]
        for case in mine[:count]:
            if time.monotonic() > until:
                break
            yield runs.run(case)
        if leaked := leaked_in_logs(faulty):
            raise AssertionError(f"{len(leaked)} lines of the logs: {leaked[:3]}")


def _revision() -> str:
    """The commit that the code is of, `+` where it was changed since; nothing outside a clone."""
    wanted = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty=+"]
    return subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="one case, by the name that a failure shows, or those that begin so")
    parser.add_argument("--share", default="1/1", help="2/3: the second third of the cases")
    parser.add_argument("--minutes", type=float, default=55.0, help="begin no case after so long")
    parser.add_argument("--count", type=int, help="at most so many cases")
    parser.add_argument("--results", type=Path, help="append a line of JSON for each case to this file")
    given = parser.parse_args(arguments)
    mine, of = (int(part) for part in given.share.split("/"))
    broken = done = 0
    began = time.monotonic()
    for found in campaign(given.only, (mine - 1, of), given.minutes * 60, given.count):
        line = found if isinstance(found, dict) else found.to_json()
        if given.results:
            with given.results.open("a") as results:
                results.write(json.dumps(line) + "\n")
        if isinstance(found, dict):
            _say(f"{found['cases']} cases at {sum(found['points'].values())} points")
            continue
        done += 1
        if found.wrong:
            broken += 1
            _say(f"BROKEN {found.case.name} ({found.seconds:.1f} s)")
            for trouble in found.wrong:
                _say(f"    {trouble}")
            _say(f"    again: python -m tests.faults.campaign --only '{found.case.name}'")
        elif done % 25 == 0:
            _say(f"{done} cases in {time.monotonic() - began:.0f} s, {broken} broken")
    _say(f"{done} cases, {done - broken} held, {broken} broken, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
