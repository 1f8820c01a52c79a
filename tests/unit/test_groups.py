"""Tests that share a stack are one group of pytest-xdist: else each worker starts a stack of its own."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_a_test_of_a_group_carries_its_name_to_the_scheduler(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("wants several workers: pytest -n 2 --dist loadgroup")

    assert request.node.nodeid.endswith("@groups")


@pytest.fixture(scope="module", params=["one", "other"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_tests_that_share_an_engine_of_their_module_are_a_group(engine: str, request: pytest.FixtureRequest) -> None:
    marks = [mark.args for mark in request.node.iter_markers("xdist_group")]

    assert marks == [(f"tests/unit/test_groups.py {['one', 'other'].index(engine)}",)]
