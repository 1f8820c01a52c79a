"""Whole stacks for the session: template.yaml on the laptop's engines, IAM enforced; and warehouses alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit
from tests.integration.operating import describe
from tests.integration.standin import Standin

from penstock.local.stack import LocalStack

ROOT = Path(__file__).resolve().parents[2]
VIEW = "{name: ages, view: ages, of: [things], key: [id], query: SELECT DISTINCT id FROM things}"
PASSWORD = "Trillian1947"
"""Of the warehouse's users: PostgreSQL asks for none here, so it may be any, and be looked for in what is logged."""

# A group each: every stack starts once, however many workers there are.
WAREHOUSES = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"on {name}"), id=name) for name in ("postgres", "redshift")
]


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in its own.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "local_stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("local stack"))


@pytest.fixture
def kit(postgres: Postgres) -> Iterator[PostgresKit]:
    made = PostgresKit(postgres.owner, postgres.loader)
    yield made
    made.close()


@pytest.fixture
def standin(postgres: Postgres) -> Iterator[Standin]:
    with ExitStack() as stack:
        made = Standin(stack, postgres.superuser)
        yield made
        made.open.set()


@pytest.fixture(scope="session")
def local_stack() -> Iterator[LocalStack]:
    with LocalStack.temporary("tests", parameters={"Stream": "provisioned", "StreamShards": "2"}) as stack:
        yield stack


@pytest.fixture(scope="session", params=WAREHOUSES)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One on PostgreSQL and one on Redshift's stand-in. Each test has datasets of its own, and leaves it at rest."""
    home = tmp_path_factory.mktemp(request.param)
    folder = home / "datasets"
    (folder / "views").mkdir(parents=True)
    for name in ("airlines", "planes"):
        shutil.copy(ROOT / "datasets" / f"{name}.yaml", folder)
    shutil.copytree(ROOT / "datasets" / "samples", folder / "samples")
    describe(folder, "things", kick_off={"rebuild_views": True})
    describe(folder, "books", on_overwrite="replace")
    describe(folder, "pieces", format="parquet", max_reject_ratio=0.5)
    describe(folder, "mended")
    describe(folder, "pairs", on_overwrite="replace")  # So that each file is a COPY of its own.
    describe(folder, "watched", max_reject_ratio=0.5)
    describe(folder, "searched", max_reject_ratio=0.5, table=None)
    describe(folder, "heavy", batch={"max_bytes": "64 KiB"})
    (folder / "views" / "ages.yaml").write_text(VIEW)
    made = LocalStack.up("either", home, datasets=folder, warehouse=request.param, lifeline=True, wait_scale=0.05)
    for parameter in ("WarehouseSecretArn", "WarehouseOwnerSecretArn"):
        set_password(made.client("secretsmanager"), made.parameters[parameter])
    yield made
    made.down()


def set_password(secrets: Any, arn: str) -> None:
    given = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**given, "password": PASSWORD}))
