"""Some of the campaign's cases on Redshift: where a load is submitted, looked after and decided.

All of them: `python -m tests.faults --warehouse redshift`.
"""

from __future__ import annotations

import pytest
from tests.faults.campaign import Campaign
from tests.faults.cases import Case
from tests.faults.deployment import FaultyStack
from tests.faults.kinds import Fault, Point

pytestmark = pytest.mark.xdist_group("faults")

SUBMIT = "redshift-data BatchExecuteStatement"
CASES = [
    Case("overwritten", Point("begin_load", SUBMIT, 0), Fault.KILL_AFTER),
    Case("overwritten", Point("begin_load", SUBMIT, 0), Fault.TWICE),
    Case("refused", Point("poll_load", SUBMIT, 0), Fault.LOSE_REPLY),
    Case("keyed", Point("settle_batch", "redshift-data GetStatementResult", 0), Fault.FAIL_ALWAYS),
]


@pytest.fixture(scope="module")
def on_redshift(faulty_on_redshift: FaultyStack) -> Campaign:
    return Campaign(faulty_on_redshift)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_load_that_is_broken_where_it_is_submitted_and_read_loses_and_doubles_nothing(
    on_redshift: Campaign, case: Case
) -> None:
    result = on_redshift.run(case)

    assert (result.made, result.wrong) == (True, [])
