"""Plays cases on one stack: a reference run, in which nothing is broken, finds the points; then each is broken.

Each case has fresh files. The system runs on until it is at rest, and the invariants are checked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.cases import Case, Result
from tests.faults.checker import wrong
from tests.faults.deployment import QUIET_SECONDS, FaultyStack
from tests.faults.kinds import HELD, Fault, Point
from tests.faults.scenarios import BACKFILLS, SCENARIOS, File, Put, is_played, late

from penstock.cli.backfill import settings_of, start
from penstock.model.arrivals import INCOMING
from penstock.model.backfills import AWAITED
from penstock.model.plans import plan_of_run

ROUNDS = 10
"""Listings in which a case has to come to its end: five attempts and some."""
BACKFILL_FROM = 4
"""More files than this, as no other scenario has, start a backfill."""
HELD_AFTER = 10.0
"""Seconds until a run has come to the point where it is held; then a listing is asked for once more."""
TRIES = 4
"""To come to a case's point."""
LONGEST_WAIT = 3700.0
"""Seconds: longer than any put-back arrival and any closing waits, shorter than a run's leases last."""
PAST_THE_LISTING = 150.0
"""Seconds: longer than a listing's lease."""
_REACHED_SECONDS = 3.0
"""Until the invocation that is to be delayed has come to the point where it is."""


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
        warehouse = self._faulty.stack.parameters["Warehouse"]
        return sorted(point for point in points if is_played(scenario, point, warehouse))

    def run(self, case: Case) -> Result:
        """Some points are not in every run, as which of two branches waits for the other: then it is tried again."""
        result = self._run(case.scenario, case)
        for _ in range(TRIES - 1):
            if result.made or result.wrong:
                break
            result = self._run(case.scenario, case)
        return result

    def _run(self, scenario: str, case: Case | None) -> Result:
        began = time.monotonic()
        played = self.play(scenario, case)
        made = case is None or self._faulty.made(played.name)
        result = Result(case or Case(scenario, Point("", "", 0), Fault.FAIL_ONCE), made)
        result.wrong = played.trouble + wrong(self._faulty, played.name, played.puts, played.executions)
        result.runs = len(played.executions)
        result.closings = sum(plan_of_run(execution.rpartition(":")[2])[1] > 0 for execution in played.executions)
        result.seconds = time.monotonic() - began
        return result

    def play(self, scenario: str, case: Case | None = None) -> Played:
        """Puts the files, makes the fault, and lets the system run on until nothing is left to do."""
        self._number += 1
        name = f"c{self._number:05d}"
        known = set(self._faulty.executions())
        self._faulty.set_threshold(BACKFILL_FROM if scenario in BACKFILLS else 0)
        if AWAITED in self._faulty.live("arrival"):  # The backfill of an earlier case ended badly.
            self._faulty.advance(LONGEST_WAIT)
        puts = [self._put(file) for file in SCENARIOS[scenario](name)]
        if case:
            self._faulty.arm(name, case.point, case.fault)
        if case and case.fault in HELD:
            puts += self._do_meanwhile(name, case)
        trouble = self._settle(name, case)
        self._faulty.heal()
        return Played(name, puts, [one for one in self._faulty.executions() if one not in known], trouble)

    def _put(self, file: File) -> Put:
        s3, bucket = self._faulty.client("s3"), self._faulty.deployment.bucket
        return Put(file, bucket, s3.put_object(Bucket=bucket, Key=file.key, Body=file.body)["VersionId"])

    def _do_meanwhile(self, name: str, case: Case) -> list[Put]:
        """Has the run begin, and does what is to be done while it is held at the case's point; what was put."""
        faulty, more = self._faulty, list[Put]()
        for _ in range(TRIES):  # Another listing may have been at it, or the machine too busy for a step's timeout.
            faulty.list_incoming(wait=False)
            faulty.await_made(name, HELD_AFTER)
            if faulty.made(name):
                break
        else:
            return more
        if case.fault is Fault.MEANWHILE:
            more.append(self._put(late(name)))
            faulty.list_incoming()
        elif faulty.stop_runs():
            start(faulty.deployment, settings_of(faulty.deployment), INCOMING, faulty)
        faulty.release(name)
        return more

    def _settle(self, name: str, case: Case | None) -> list[str]:
        """Lists, as the schedule does each minute, until nothing is left.

        That is: a listing finds nothing to plan, nothing is in `incoming/`, and no run is recorded as live, be it a run
        that has ended or a closing whose time has not come.
        """
        faulty = self._faulty
        if case and case.fault is Fault.DELAY and case.point.function == "list_incoming":
            faulty.list_incoming(wait=False)
            faulty.await_made(name, _REACHED_SECONDS)
            faulty.advance(PAST_THE_LISTING)
        for number in range(ROUNDS):
            answer = faulty.list_incoming()
            if not faulty.await_quiet():
                return [f"6: runs or invocations go on after {QUIET_SECONDS} s"]
            if case and case.fault is Fault.FAIL_ALWAYS and faulty.made(name):
                faulty.heal()
            listed = answer is not None and answer["listed"]
            rests = not faulty.left() and not faulty.live_runs()
            if answer and listed and not answer["plans"] and rests:
                return []
            if not listed or not rests:
                # Without the fault nothing waits, unless the machine was so busy that a step timed out by itself.
                faulty.advance(LONGEST_WAIT if faulty.made(name) or number == ROUNDS // 2 else 0)
        left, live = faulty.left(), faulty.live_runs()
        return [f"6: after {ROUNDS} listings {left} files are still in incoming/, and these runs are live: {live}"]
