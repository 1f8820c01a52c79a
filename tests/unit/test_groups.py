"""Tests that share a stack are one group of pytest-xdist: else each worker starts a stack of its own."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_a_test_of_a_group_carries_its_name_to_the_scheduler(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("wants several workers: pytest -n 2 --dist loadgroup")

    assert request.node.nodeid.endswith("@groups")
