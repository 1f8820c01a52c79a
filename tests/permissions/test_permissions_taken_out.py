"""A slice of `make permissions`: one permission of each kind of step, on one stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.permissions.grants import Grant
from tests.permissions.measure import Laboratory, laboratory
from tests.permissions.not_shown import why

SLICE = [
    ("ListIncoming", "states:StartExecution", "IngestStateMachine", "arrivals are listed and a run is started"),
    ("BeginLoad", "s3:GetObjectVersion", "LandingBucket/incoming/*", "each file is where it belongs, with its tags"),
    ("Reconcile", "s3:PutObject", "LandingBucket/plans/reconcile/*", "others look at what a run holds that is at work"),
]


@pytest.fixture(scope="module")
def at_hand() -> Iterator[Laboratory]:
    with laboratory() as at_hand:
        yield at_hand


def test_without_a_permission_its_step_fails_and_with_it_again_none_does(at_hand: Laboratory) -> None:
    grants = {(one.role, one.action, one.resource): one for one in at_hand.roles.grants()}

    steps = {
        (role, action, resource): at_hand.show(grants[role, action, resource]).step
        for role, action, resource, _ in SLICE
    }

    assert steps == {(role, action, resource): step for role, action, resource, step in SLICE}
    assert at_hand.scenario.play() is None
    assert {(one.role, one.action, one.resource) for one in at_hand.roles.grants()} == grants.keys()


def test_a_permission_that_nothing_excuses_has_no_reason() -> None:
    assert why(Grant("BeginLoad", "ReadThePlan", "s3:GetObject", "LandingBucket/plans/*")) == ""
    assert why(Grant("BeginLoad", "TellMissingFromForbidden", "s3:ListBucket", "LandingBucket"))
