"""docs/faults.md claims what was played, and no more."""

from __future__ import annotations

from typing import Any

from tests.faults.cases import Case, Result
from tests.faults.kinds import Fault, Point
from tests.faults.report import page_of

REFERENCE = {"revision": "1a2b3c4", "points": {"keyed": 1}, "cases": 3}
END = {"stacks": 4, "seconds": 60}


def line(fault: Fault, *wrong: str, alone: bool = False) -> dict[str, Any]:
    case = Case("keyed", Point("kick_off", "dynamodb GetItem", 0), fault)
    return Result(case, wrong=list(wrong), runs=2).to_json() | {"alone": alone}


def test_a_case_that_broke_among_others_and_held_alone_is_told_with_both_results() -> None:
    broke = line(Fault.KILL_BEFORE, "2: 1 rows are missing")

    page = page_of([REFERENCE, broke, line(Fault.DELAY), line(Fault.KILL_BEFORE, alone=True), END])

    assert "| cases that were run | 2 |" in page
    assert "| something was wrong | 1 |" in page
    told = page[page.index("## What was wrong") :].splitlines()[4:]
    assert told == [f"- `{broke['case']}`", "  - 2: 1 rows are missing", "  - again alone: all invariants held"]


def test_a_campaign_on_redshift_is_told_as_one() -> None:
    page = page_of([REFERENCE | {"warehouse": "redshift"}, line(Fault.DELAY), END])

    assert page.startswith("# Faults that were injected, with Redshift\n")
    assert "| cases that were run | 1 |" in page


def test_a_case_that_was_not_played_again_is_not_said_to_have_held() -> None:
    page = page_of([REFERENCE, line(Fault.KILL_BEFORE, "2: 1 rows are missing"), END])

    assert page.endswith("  - it was not played again: the time was over\n")


def test_cases_that_the_time_cut_are_counted_as_not_run() -> None:
    page = page_of([REFERENCE, line(Fault.DELAY), END])

    assert "1 cases were run, and 2 were **not**: the campaign was cut short." in page


def test_a_case_whose_fault_was_not_made_is_not_said_to_have_held() -> None:
    page = page_of([REFERENCE, line(Fault.DELAY) | {"made": False}, END])

    assert "| the fault was made, and all invariants held | 0 |" in page
    assert "| no run came to the point again, and so nothing was broken | 1 |" in page
    assert "1/1" not in page


def test_what_a_stack_leaked_is_told_though_every_case_held() -> None:
    page = page_of([REFERENCE, line(Fault.DELAY), {"leaked": ["5: /aws/lambda/x holds content"]}, END])

    assert page.endswith("## What was wrong with a stack\n\n- 5: /aws/lambda/x holds content\n")
