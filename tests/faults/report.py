"""docs/faults.md, from the results of a campaign: `python -m tests.faults.report RESULTS.jsonl…`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.kinds import Fault, Point

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"

_HEAD = """# Faults that were injected

*Written by `make faults`; don't edit it. It tells of one campaign, and claims no case that was not run.*

The whole template ran on one machine: its state machine, its functions in processes of their own, PostgreSQL, the
search index. A reference run of each scenario, in which nothing is broken, recorded every call of boto3, psycopg and
OpenSearch's client that the functions make: those are the points. Then, with fresh files for each case, one of them
was broken in one way, the system ran on, and an independent checker (`tests/faults/checker.py`) asked S3, the tables,
the load ledger, the index, the lease table and the executions' histories whether DESIGN's invariants hold: each
arrival in one place with its bytes unchanged, each valid row once, rows and rejects adding up, a document for each
row, no content and no password in a state (or, at the campaign's end, a log), no lease and no attempt left over.

What differs from the template: Tasks time out after 4 s and functions after 12, waits of the state machine are a
hundred times shorter, Penstock's clock is put forward where a file waits for its next attempt, and listings are asked
for by the campaign, as the schedule does, so that a case's runs are its own.

| fault | what is done |
|---|---|
| kill before, kill after | SIGKILL of the worker before the call, or after it was answered |
| fail once | the call is not made, and fails as when nobody can be reached; a statement finds its connection cut |
| fail always | the same at each try, until the first runs that met it are over; then it is healed |
| do twice | the call is made twice; not a statement of a transaction or a read of a stream, which are made once |
| delay | past the Task's timeout: the step is repeated while the first try goes on to its end; past a listing's lease |
| lose reply | the call is made, and fails as when its answer got lost |

Scenarios: *overwritten* (a CSV that is overwritten, one with gzip, one with a rejected row; table, index and kickoff),
*keyed* (JSON Lines with declared ids, and the same bytes put again), *indexed* (an index and no table), *refused* (a
quarantined file beside a good one, and one that no dataset claims).

Beside this, random schedules of several faults run in one process ([schedules.md](schedules.md)), and each protection
is taken out to see who notices ([mutations.md](mutations.md)).
"""


def page_of(found: Sequence[Mapping[str, Any]]) -> str:
    """`found` are the lines of the campaign's results: a line of totals for each process, and one for each case."""
    cases = [line for line in found if "case" in line]
    totals = [line for line in found if "cases" in line]
    soaks = [line for line in found if "killed" in line]
    notes = [f"{line['note']}\n" for line in found if "note" in line]
    return "\n".join([_HEAD, *_summary(cases, totals), *notes, *_soaks(soaks), *_table(cases), *_broken(cases)]) + "\n"


def _summary(cases: Sequence[Mapping[str, Any]], totals: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    reached = [case for case in cases if case["made"]]
    held = [case for case in cases if not case["wrong"]]
    points = {(case["scenario"], case["function"], case["call"], case["nth"]) for case in cases}
    distinct = len({case["case"] for case in cases})
    known = max((sum(total["points"].values()) for total in totals), default=0)
    yield "## What was run\n"
    if revisions := sorted({total["revision"] for total in totals if total.get("revision")}):
        yield f"The code was that of {', '.join(revisions)}.\n"
    yield "| | |"
    yield "|---|---|"
    yield f"| points that the reference runs found | {known:,} |"
    yield f"| cases that these make (points x faults that can happen there) | {_most(totals):,} |"
    yield f"| points that were broken in at least one way | {len(points):,} |"
    yield f"| cases that were run | {len(cases):,} |"
    yield f"| of these, the fault was made | {len(reached):,} |"
    yield f"| all invariants held | {len(held):,} |"
    yield f"| something was wrong | {len(cases) - len(held):,} |"
    redrive = [case for case in cases if case.get("to_redrive")]
    yield f"| cases with a run that FAILED before its kickoff, which a closing makes up for | {len(redrive):,} |"
    yield f"| runs of the state machine in them | {sum(case['runs'] for case in cases):,} |"
    if (left := _most(totals) - distinct) > 0:
        yield f"\n{distinct:,} different cases were run, and {left:,} were **not**: it was cut short by its time."
    yield ""


def _soaks(soaks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What `tests.faults.soak` printed, where it was put beside the campaign's results."""
    if not soaks:
        return
    yield "## Soak\n"
    yield "Three producers put duplicates, overwrites and bad files while workers are killed at random (`make soak`).\n"
    yield "| files | duplicates | overwritten | bad | workers killed | runs | seconds | wrong |"
    yield "|---|---|---|---|---|---|---|---|"
    for soak in soaks:
        counts = ("files", "duplicates", "overwritten", "bad", "killed", "runs", "seconds")
        wrong = "; ".join(soak["wrong"]) or "nothing"
        yield f"| {' | '.join(f'{soak[name]:,}' for name in counts)} | {wrong} |"
    yield ""


def _most(totals: Sequence[Mapping[str, Any]]) -> int:
    return max((total["cases"] for total in totals), default=0)


def _table(cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## By call\n"
    yield "Cases that held of cases that were run. `-`: none was run; blank: can't happen there.\n"
    tried: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        tried[case["function"], case["call"]][case["fault"]].append(not case["wrong"])
    function = ""
    for (of, call), by_fault in sorted(tried.items()):
        if of != function:
            function = of
            yield f"\n### {of}\n"
            yield f"| call | {' | '.join(Fault)} |"
            yield f"|---|{'---|' * len(Fault)}"
        yield f"| `{call}` | {' | '.join(_cell(call, fault, by_fault.get(fault, [])) for fault in Fault)} |"
    yield ""


def _cell(call: str, fault: Fault, held: Sequence[bool]) -> str:
    if not held:
        return "-" if fault in Point("", call, 0).faults else ""
    text = f"{sum(held)}/{len(held)}"
    return text if all(held) else f"**{text}**"


def _broken(cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    broken = [case for case in cases if case["wrong"]]
    if not broken:
        return
    yield "## What was wrong\n"
    for case in broken:
        yield f"- `{case['case']}`"
        yield from (f"  - {text}" for text in case["wrong"][:5])


def main(results: Sequence[str]) -> int:
    found = [json.loads(line) for file in results for line in Path(file).read_text().splitlines()]
    PAGE.write_text(page_of(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
