from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Postgres
from tests.contract.buckets import Bucket, fake_bucket, s3_bucket
from tests.contract.engines import client, ministack, moto
from tests.contract.redshift import BUCKET, RedshiftKit
from tests.contract.searching import running_node
from tests.contract.warehouses import FakeKit, Kit, PostgresKit
from tests.fakes.object_store import FakeObjectStore

TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "live")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "live",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "live", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


@pytest.fixture(scope="module", params=["fake", "postgres", "redshift"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    made: FakeKit | PostgresKit | RedshiftKit
    if request.param == "fake":
        made = FakeKit()
    elif request.param == "redshift":
        made = RedshiftKit(lambda: request.getfixturevalue("postgres").superuser)
    else:
        postgres: Postgres = request.getfixturevalue(request.param)
        made = PostgresKit(postgres.owner, postgres.loader, postgres.superuser)
    yield made
    made.close()


@pytest.fixture
def store() -> FakeObjectStore:
    return FakeObjectStore(BUCKET)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MiniStack's endpoint."""
    with ministack(tmp_path_factory.mktemp("ministack")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def moto_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(Path(tmp_path_factory.mktemp("moto"))) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def search_nodes() -> Iterator[Callable[[str], str]]:
    """The URL of a real search node of a kind, which is started when it is first asked for."""
    with ExitStack() as held:
        yield cache(lambda kind: held.enter_context(running_node(kind)))


@pytest.fixture(scope="session")
def s3(aws: str) -> Any:
    return client("s3", aws)


@pytest.fixture(scope="session")
def dynamodb(aws: str) -> Any:
    return client("dynamodb", aws)


@pytest.fixture
def bucket(s3: Any) -> str:
    """A fresh one, with versions."""
    name = f"landing-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture(params=["fake", "s3"])
def there(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "fake":
        return fake_bucket()
    return s3_bucket(request.getfixturevalue("s3"), request.getfixturevalue("bucket"))


@pytest.fixture
def table(dynamodb: Any) -> str:
    """A fresh one, as template.yaml has it."""
    name = f"leases-{uuid.uuid4().hex[:12]}"
    dynamodb.create_table(TableName=name, **TABLE)
    return name
