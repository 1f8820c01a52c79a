"""A rebuild looks first whether anything was processed, tries again what heals, and fails by what does not."""

from __future__ import annotations

import pytest
from tests.workflow.definition import REBUILD_VIEWS, definition, states
from tests.workflow.engines import Machine

GIVEN = {"run": "p-1", "dataset": "flights", "processed": "processed/flights/"}
LOOK, REBUILD = "Look for processed files", "Rebuild the views"


def test_the_views_of_a_dataset_that_has_processed_files_are_rebuilt(rebuilding: Machine) -> None:
    run = rebuilding.execute("Rebuilt", GIVEN)

    assert run.status == "SUCCEEDED"
    assert run.given(LOOK) == [{"Bucket": "landing", "Prefix": "processed/flights/", "MaxKeys": 1}]
    assert run.given(REBUILD) == [{"run": "p-1", "dataset": "flights"}]
    assert run.output == {"views": [{"view": "delays", "rows": 365, "seconds": 0.4}]}


def test_without_a_processed_file_nothing_is_rebuilt(rebuilding: Machine) -> None:
    run = rebuilding.execute("NothingProcessed", GIVEN)

    assert (run.status, run.error) == ("FAILED", "NothingProcessed")
    assert run.attempts(REBUILD) == 0


def test_what_heals_is_tried_again(rebuilding: Machine) -> None:
    run = rebuilding.execute("BothHeal", GIVEN)

    assert (run.status, run.attempts(LOOK), run.attempts(REBUILD)) == ("SUCCEEDED", 2, 3)


@pytest.mark.parametrize(
    ("test_case", "step", "attempts", "error"),
    [
        ("CanNotList", LOOK, 7, "S3.S3Exception"),
        ("NeverListsInTime", LOOK, 7, "States.Timeout"),
        ("NeverRebuilds", REBUILD, 7, "TransientError"),
        ("RebuilderDies", REBUILD, 3, "Runtime.ExitError"),
        ("RefusesToRebuild", REBUILD, 1, "PermanentError"),
    ],
)
def test_what_does_not_heal_fails_the_rebuild_by_its_own_error(
    rebuilding: Machine, test_case: str, step: str, attempts: int, error: str
) -> None:
    run = rebuilding.execute(test_case, GIVEN)

    assert (run.status, run.error, run.attempts(step)) == ("FAILED", error, attempts)


def test_every_state_says_what_it_is_for() -> None:
    assert [name for name, state in states(definition(REBUILD_VIEWS)) if len(state.get("Comment", "")) < 10] == []
