"""A wrapped stack of each warehouse for the session's faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.campaign import Campaign
from tests.faults.deployment import FaultyStack, faulty_stack


@pytest.fixture(scope="session")
def faulty() -> Iterator[FaultyStack]:
    with faulty_stack("faults-slice") as stack:
        yield stack


@pytest.fixture(scope="session")
def faulty_on_redshift() -> Iterator[FaultyStack]:
    with faulty_stack("faults-redshift", warehouse="redshift") as stack:
        yield stack


@pytest.fixture(scope="session")
def campaign(faulty: FaultyStack) -> Campaign:
    return Campaign(faulty)
