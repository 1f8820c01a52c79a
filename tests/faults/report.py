"""A campaign's page, from its results: `python -m tests.faults.report RESULTS.jsonl`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.kinds import Fault, Point

_DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"postgres": _DOCS / "faults.md", "redshift": _DOCS / "faults-redshift.md"}

_HEAD = """# Faults that were injected

*Written by `make faults` (`tests/faults/report.py`); don't edit it. It tells of one campaign, and claims no case that
was not run.*

The whole template ran on one machine: its state machine, its functions in processes of their own, PostgreSQL, the
search index. A reference run of each scenario, in which nothing is broken, recorded every call of boto3, psycopg and
OpenSearch's client that the functions make: those are the points. Then, with fresh files for each case, one of them
was broken in one way, the system ran on, and an independent checker (`tests/faults/checker.py`) asked S3, the tables,
the load ledger, the index, the lease table and the executions' histories whether the
[invariants](architecture.md#invariants) hold: each
arrival in one place with its bytes unchanged, each valid row once, rows and rejects adding up, a document for each
row, no content and no password in a state (or, at the end of a stack, a log), a kickoff for what was loaded, no live
run and no attempt left over.

What differs from the template: Tasks time out after 4 s and functions after 12, waits of the state machine are a
hundred times shorter, Penstock's clock is put forward where a file waits for its next attempt, and listings are asked
for by the campaign, as the schedule does, so that a case's runs are its own. Several stacks work side by side, each
with one case at a time; one on which a case broke is not used again, and that case is played once more, alone.

| fault | what is done |
|---|---|
| kill before, kill after | SIGKILL of the worker before the call, or after it was answered |
| fail once | the call is not made, and fails as when nobody can be reached; a statement finds its connection cut |
| fail always | the same at each try, until the first runs that met it are over; then it is healed |
| do twice | the call is made twice; not a statement of a transaction or a read of a stream, which are made once |
| delay | past the Task's timeout: the step is repeated while the first try goes on to its end; past a listing's lease |
| lose reply | the call is made, and fails as when its answer got lost |
| stop run | a backfill is stopped while a function waits there, and another started; the function goes on |
| put and list | a file is put below a backfill's prefix while a function waits there, and a listing runs |

Scenarios: *overwritten* (a CSV that is overwritten, one with gzip, one with a rejected row; table, index and kickoff),
*keyed* (JSON Lines with declared ids, and the same bytes put again), *indexed* (an index and no table), *refused* (a
quarantined file beside a good one, and one that no dataset claims), *backfilled* (six files in three batches of two
parts, one of them quarantined; of the batches' steps, which are ingest's, what changes something), *merged* (`upsert`:
two files of the same keys, loaded side by side; what loads and indexes them), *columnar* (Parquet; what loads and
indexes it).

Beside this, random schedules of several faults run in one process ([schedules.md](schedules.md)), and each protection
is taken out to see who notices ([mutations.md](mutations.md)). Thousands of files, while workers are killed at random,
are the soak ([soak.md](soak.md)).
"""


_HEAD_OF_REDSHIFT = """# Faults that were injected, with Redshift

*Written by `make faults-redshift` (`tests/faults/report.py`); don't edit it. It tells of one campaign, and claims no
case that was not run.*

As [faults.md](faults.md), where the faults and the scenarios are described, with a stack whose warehouse is Redshift:
its stand-in for the Data API ([redshift.md](redshift.md) says what that does not imitate), really running statements
and COPY. Tasks time out after 12 s here, and functions after 36. What was broken is each call of the Data API, each
write of what COPY reads, and the steps that submit a load and look after it; everything else is the same code with
either warehouse.
"""


def page_of(found: Sequence[Mapping[str, Any]]) -> str:
    """`found` are one campaign's results: its reference, a line for each time that a case was played, its end."""
    played = [line for line in found if "case" in line]
    cases = [line for line in played if not line["alone"]]
    alone = {line["case"]: line for line in played if line["alone"]}
    leaked = [text for line in found for text in line.get("leaked", [])]
    [reference] = [line for line in found if "cases" in line]
    [end] = [line for line in found if "stacks" in line]
    head = _HEAD_OF_REDSHIFT if reference.get("warehouse") == "redshift" else _HEAD
    told = [*_summary(cases, reference, end), *_table(cases), *_broken(cases, alone), *_leaked(leaked)]
    return "\n".join([head, *told]) + "\n"


def _summary(cases: Sequence[Mapping[str, Any]], reference: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[str]:
    made = [case for case in cases if case["made"]]
    held = [case for case in made if not case["wrong"]]
    broken = [case for case in cases if case["wrong"]]
    missed = len(cases) - len(held) - len(broken)
    points = {(case["scenario"], case["function"], case["call"], case["nth"]) for case in made}
    closed = [case for case in cases if case["closings"]]
    yield "## What was run\n"
    took = f"{end['stacks']} stacks side by side, {end['seconds'] / 60:.0f} minutes"
    yield f"The code was that of {reference['revision'] or 'no clone'}; {took}.\n"
    yield "| | |"
    yield "|---|---|"
    yield f"| points that the reference runs found | {sum(reference['points'].values()):,} |"
    yield f"| cases that these make (points x faults that can happen there) | {reference['cases']:,} |"
    yield f"| points that were broken in at least one way | {len(points):,} |"
    yield f"| cases that were run | {len(cases):,} |"
    yield f"| the fault was made, and all invariants held | {len(held):,} |"
    yield f"| something was wrong | {len(broken):,} |"
    yield f"| no run came to the point again, and so nothing was broken | {missed:,} |"
    yield f"| cases in which a run failed before its kickoff, and a closing made up for it | {len(closed):,} |"
    yield f"| runs of the state machine in them | {sum(case['runs'] for case in cases):,} |"
    if left := reference["cases"] - len(cases):
        yield f"\n{len(cases):,} cases were run, and {left:,} were **not**: the campaign was cut short."
    yield ""


def _table(cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## By call\n"
    yield "Cases that held of those whose fault was made. `-`: none was; blank: can't happen there.\n"
    tried: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        if not case["made"] and not case["wrong"]:
            continue
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


def _broken(cases: Sequence[Mapping[str, Any]], alone: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    broken = [case for case in cases if case["wrong"]]
    if not broken:
        return
    yield "## What was wrong\n"
    yield "Each was played again alone on a fresh stack; both results are told.\n"
    for case in broken:
        yield f"- `{case['case']}`"
        yield from (f"  - {_line(text)}" for text in case["wrong"][:5])
        again = alone.get(case["case"])
        if again is None:
            yield "  - it was not played again: the time was over"
        elif again["wrong"]:
            yield f"  - again alone: {_line(again['wrong'][0])}"
        else:
            yield "  - again alone: all invariants held"


def _leaked(leaked: Sequence[str]) -> Iterator[str]:
    if leaked:
        yield "\n## What was wrong with a stack\n"
        yield from (f"- {_line(text)}" for text in leaked[:20])


def _line(text: str) -> str:
    return " ".join(text.split())[-400:]


def main(results: str) -> int:
    lines = [json.loads(line) for line in Path(results).read_text().splitlines()]
    PAGES[lines[0].get("warehouse", "postgres")].write_text(page_of(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
