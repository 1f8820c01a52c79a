"""One whole stack for the session: template.yaml on the laptop's engines, IAM enforced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.local.stack import LocalStack


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    with LocalStack.temporary("tests", parameters={"Stream": "provisioned", "StreamShards": "2"}) as stack:
        yield stack
