"""A slice of `make permissions`: one permission of each kind of step, on one stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.permissions.grants import Grant
from tests.permissions.measure import Laboratory, laboratory
from tests.permissions.not_shown import why

SLICE = [
    ("ListIncoming", "states:StartExecution", "IngestStateMachine", "others look at what a run holds that is at work"),
    ("BeginLoad", "s3:GetObjectVersion", "LandingBucket/incoming/*", "a backfill loads what is below a prefix"),
    (
        "IngestStateMachine",
        "lambda:InvokeFunction",
        "SummariseRun",
        "the next listing takes over what a stopped run held",
    ),
    ("Reconcile", "s3:PutObject", "LandingBucket/plans/reconcile/*", "others look at what a run holds that is at work"),
]


@pytest.fixture(scope="module")
def at_hand() -> Iterator[Laboratory]:
    with laboratory() as at_hand:
        yield at_hand


def test_without_a_permission_its_step_fails_and_it_is_given_back(at_hand: Laboratory) -> None:
    grants = {(one.role, one.action, one.resource): one for one in at_hand.roles.grants()}

    steps = {
        (role, action, resource): at_hand.show(grants[role, action, resource]).step
        for role, action, resource, _ in SLICE
    }

    assert steps == {(role, action, resource): step for role, action, resource, step in SLICE}
    assert {(one.role, one.action, one.resource) for one in at_hand.roles.grants()} == grants.keys()


def test_one_that_a_step_misses_is_found_among_those_that_none_does(at_hand: Laboratory) -> None:
    found = {one.action: one for one in at_hand.roles.grants() if one.role == "KickOff"}
    missed, *others = found["dynamodb:PutItem"], found["datapipeline:ActivatePipeline"], found["AWSXrayWriteOnlyAccess"]

    steps = {one.grant: one.step for one in at_hand.together([missed, *others])}

    assert steps == {missed: "a backfill loads what is below a prefix", **dict.fromkeys(others, "")}


def test_a_permission_that_nothing_excuses_has_no_reason() -> None:
    assert why(Grant("BeginLoad", "ReadThePlan", "s3:GetObject", "LandingBucket/plans/*")) == ""
    assert why(Grant("BeginLoad", "TellMissingFromForbidden", "s3:ListBucket", "LandingBucket"))
