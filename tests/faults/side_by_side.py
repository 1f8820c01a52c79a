"""Plays many cases on several stacks at once: a case waits more than it works.

Each stack belongs to a process, and takes its next case from one queue of all. A stack on which a case broke is not
used again, so that what that case left behind breaks no other.
"""

from __future__ import annotations

import multiprocessing
import queue
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.queues import Queue

from tests.faults.campaign import Campaign
from tests.faults.cases import Case, Result
from tests.faults.checker import leaked_in_logs
from tests.faults.deployment import Warehouse, faulty_stack

CASES_PER_STACK = 150
"""Then a fresh one: histories and tables grow, and each case lists them."""

TRIES = 3
"""Stacks that don't come up, one after the other, are no case's fault."""
_POLL_SECONDS = 5.0


def side_by_side(
    cases: Sequence[Case], stacks: int, until: float, warehouse: Warehouse = "postgres"
) -> Iterator[Result | list[str]]:
    """A Result for each case that was begun before `until`, on `time.monotonic`; lists are what a stack's logs leaked.

    A case whose stack broke down is one that broke. One whose stack did not come up at all has no Result.
    """
    context = multiprocessing.get_context("spawn")
    waiting: Queue[Case | None] = context.Queue()
    found: Queue[Result | list[str]] = context.Queue()
    for one in (*cases, *[None] * stacks):
        waiting.put(one)
    workers = [context.Process(target=_work, args=(waiting, found, until, warehouse)) for _ in range(stacks)]
    for worker in workers:
        worker.start()
    try:
        while True:
            over = not any(worker.is_alive() for worker in workers)  # Asked first: what they said last is there then.
            try:
                yield found.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if over:
                    break
        for worker in workers:
            if worker.exitcode:
                yield [f"a process of the campaign ended by {worker.exitcode}: its case and its logs are not in this"]
    finally:
        waiting.cancel_join_thread()  # What nobody took would keep this process from ending.
        for worker in workers:
            worker.terminate()  # Its stack ends with it.
            worker.join()


def _work(waiting: Queue[Case | None], found: Queue[Result | list[str]], until: float, warehouse: Warehouse) -> None:
    def next_case() -> Case | None:
        case = waiting.get()
        return case if time.monotonic() < until else None

    case = next_case()
    failed = 0
    while case:
        try:
            with faulty_stack(warehouse=warehouse) as faulty:
                failed = 0
                campaign = Campaign(faulty)
                for _ in range(CASES_PER_STACK):
                    result = campaign.run(case)
                    found.put(result)
                    case = next_case()
                    if case is None or result.wrong:
                        break
                found.put(leaked_in_logs(faulty))
        except Exception:  # Whatever it was: the case has to be told of, and the others go on.
            failed += 1
            if failed == TRIES:
                raise
            trouble = traceback.format_exc(limit=-3)
            if case:
                found.put(Result(case, made=False, wrong=[f"the campaign itself failed: {trouble}"]))
                case = next_case()
            else:
                found.put([f"the logs could not be searched: {trouble}"])
