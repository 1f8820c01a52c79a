from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from psycopg.conninfo import conninfo_to_dict
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore

from penstock import wiring
from penstock.adapters import clients
from penstock.adapters.postgres import PostgresRoles
from penstock.flows.decide_batch import Destinations
from penstock.flows.settle_batch import settle_batch
from penstock.model.dataset_files import load_datasets
from penstock.model.datasets import Dataset, KickOff
from penstock.model.errors import DestinationDownError, PermanentError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.wiring import Settings, destinations

REPOSITORY = Path(__file__).parents[2]
ENOUGH = {"PENSTOCK_BUCKET": "landing", "PENSTOCK_LEASE_TABLE": "leases"}
SECRET = {"host": "db.internal", "port": 5433, "dbname": "dwh", "username": "penstock_loader", "password": "a'b c"}
FUNCTION = "arn:aws-cn:lambda:cn-north-1:123456789012:function:penstock-KickOff"


class SecretsManager:
    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer

    def get_secret_value(self, **asked: str) -> dict[str, Any]:
        assert asked == {"SecretId": "arn:secret"}
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"SecretString": self.answer}


def forget() -> None:
    for built in (
        wiring.settings,
        wiring.datasets,
        wiring.warehouse,
        wiring.schema,
        wiring.roles,
        wiring.search,
        wiring.runs,
    ):
        built.cache_clear()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget()
    for name, value in {**ENOUGH, "PENSTOCK_WAREHOUSE_SECRET_ARN": "arn:secret"}.items():
        monkeypatch.setenv(name, value)
    yield
    forget()


def conninfo(monkeypatch: pytest.MonkeyPatch, answer: str | Exception) -> dict[str, Any]:
    monkeypatch.setattr(clients, "client", lambda service: {"secretsmanager": SecretsManager(answer)}[service])
    return conninfo_to_dict(destinations._warehouse_conninfo())


def test_settings_are_read_by_their_names() -> None:
    settings = Settings.of({**ENOUGH, "PENSTOCK_WAREHOUSE": "postgres", "PENSTOCK_MAX_ATTEMPTS": "3", "HOME": "/root"})

    assert (settings.bucket, settings.warehouse, settings.max_attempts) == ("landing", "postgres", 3)


def test_an_empty_variable_counts_as_absent() -> None:
    settings = Settings.of({**ENOUGH, "PENSTOCK_SEARCH_URL": "", "PENSTOCK_DATA_PIPELINE_ID": "", "PENSTOCK_STACK": ""})

    assert (settings.search_url, settings.data_pipeline_id, settings.stack) == ("", "", "penstock")


def test_a_refused_environment_names_each_variable_and_quotes_none() -> None:
    with pytest.raises(PermanentError) as refused:
        Settings.of({"PENSTOCK_WAREHOUSE": "my-secret-warehouse", "PENSTOCK_MAX_ATTEMPTS": "0"})

    for name in ("PENSTOCK_BUCKET", "PENSTOCK_LEASE_TABLE", "PENSTOCK_WAREHOUSE", "PENSTOCK_MAX_ATTEMPTS"):
        assert name in str(refused.value)
    assert "my-secret-warehouse" not in str(refused.value)


def test_a_stack_without_destinations_has_none() -> None:
    assert (wiring.warehouse(), wiring.schema(), wiring.search()) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {"WORKGROUP": "w", "DATABASE": "sales"},
            {"Database": "sales", "WorkgroupName": "w", "SecretArn": "arn:secret"},
        ),
        ({"CLUSTER": "c"}, {"Database": "dev", "ClusterIdentifier": "c", "SecretArn": "arn:secret"}),
    ],
)
def test_redshift_is_reached_by_its_data_api(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: dict[str, str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(clients, "client", asked.append)
    monkeypatch.setenv("PENSTOCK_WAREHOUSE", "redshift")
    monkeypatch.setenv("PENSTOCK_DATASETS", str(REPOSITORY / "datasets"))
    for name, value in given.items():
        monkeypatch.setenv(f"PENSTOCK_REDSHIFT_{name}", value)

    made = wiring.warehouse(), wiring.schema()

    assert [type(one).__name__ for one in made] == ["RedshiftWarehouse", "RedshiftSchema"]
    assert "redshift-data" in asked
    assert destinations._redshift()._endpoint.parameters() == named


def test_the_secret_becomes_a_connection_whose_server_is_verified_unless_it_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    info = conninfo(monkeypatch, json.dumps(SECRET))

    assert info["host"] == "db.internal"
    assert (info["user"], info["password"], info["sslmode"]) == ("penstock_loader", "a'b c", "verify-full")
    assert info["sslrootcert"] == certifi.where()
    assert conninfo(monkeypatch, json.dumps({**SECRET, "sslmode": "disable"}))["sslmode"] == "disable"


def test_with_a_host_a_role_gets_in_by_a_token_and_reads_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[dict[str, Any]] = []

    class Rds:
        def generate_db_auth_token(self, **asked: Any) -> str:
            signed.append(asked)
            return f"db.internal:5432/?Action=connect&n={len(signed)}"

    monkeypatch.setattr(clients, "client", lambda service: {"rds": Rds()}[service])
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_HOST", "db.internal")
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_DATABASE", "dwh")

    first, second = (conninfo_to_dict(destinations._warehouse_conninfo()) for _ in range(2))

    assert signed[0] == {"DBHostname": "db.internal", "Port": 5432, "DBUsername": "penstock_loader"}
    assert (first["user"], first["dbname"], first["sslmode"]) == ("penstock_loader", "dwh", "verify-full")
    assert first["password"] != second["password"]


def test_only_a_database_that_the_stack_made_has_its_roles_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wiring.roles() is None
    forget()
    monkeypatch.setenv("PENSTOCK_WAREHOUSE_ADMIN", "penstockadmin")

    assert isinstance(wiring.roles(), PostgresRoles)


@pytest.mark.parametrize("answer", ["hunter2", '["hunter2"]', '{"password": "hunter2"}'])
def test_a_secret_of_another_shape_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    with pytest.raises(DestinationDownError, match=r"arn:secret.*host, port, dbname, username and password") as refused:
        conninfo(monkeypatch, answer)

    assert "hunter2" not in str(refused.value)


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("raised", "todo"),
    [
        (refusal("AccessDeniedException"), "AccessDeniedException.*allow secretsmanager:GetSecretValue"),
        (refusal("ResourceNotFoundException"), "ResourceNotFoundException.*See that the secret is there"),
        (refusal("ThrottlingException"), "ThrottlingException"),
        (EndpointConnectionError(endpoint_url="https://secretsmanager"), "a VPC endpoint"),
    ],
)
def test_a_secret_that_cant_be_read_is_a_warehouse_that_is_down_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, todo: str
) -> None:
    with pytest.raises(DestinationDownError, match=f"arn:secret.*{todo}") as down:
        conninfo(monkeypatch, raised)

    assert down.value.destination == "warehouse"


def test_without_a_secret_settling_opens_the_breaker_and_counts_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_WAREHOUSE", "postgres")
    monkeypatch.setattr(clients, "client", lambda _: SecretsManager(refusal("AccessDeniedException")))
    store, leases, clock = FakeObjectStore(), FakeLeases(), FakeClock()
    flights = {"flights": load_datasets(REPOSITORY / "datasets")["flights"]}
    arrival = store.put("incoming/flights/a.csv", b"")
    store.put_json(plan_key("p"), Plan("p", clock.now(), (Batch(0, "flights", (arrival,)),)).to_json())
    done = {"status": "done"}

    counts = settle_batch(
        store, leases, Destinations(wiring.warehouse(), None), clock, flights, "p", 0, done, done, most_attempts=1
    )

    assert counts["put_back"] == 1
    assert "arn:secret" in leases.breakers()["warehouse"].reason
    assert leases.waiting() == {}


def kicking_off(what: KickOff | None) -> Dataset:
    return load_datasets(REPOSITORY / "datasets")["flights"].model_copy(update={"kick_off": what})


def test_a_nested_state_machine_is_looked_for_beside_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []

    class StepFunctions:
        def start_execution(self, **asked: str) -> None:
            started.append(asked)

    monkeypatch.setattr(clients, "client", lambda _: StepFunctions())

    wiring.pipeline(kicking_off(KickOff(state_machine="rebuild")), FUNCTION).start("p-1", "flights", {})

    assert started[0]["stateMachineArn"] == "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:rebuild"


def test_a_stack_without_data_pipeline_says_how_to_get_one() -> None:
    with pytest.raises(PermanentError, match="DataPipelineId"):
        wiring.pipeline(kicking_off(KickOff(data_pipeline=True)), FUNCTION)


def test_a_kickoff_that_was_removed_meanwhile_is_refused() -> None:
    with pytest.raises(PermanentError, match="asks for no kickoff"):
        wiring.pipeline(kicking_off(None), FUNCTION)


def test_after_an_error_the_warehouse_is_connected_to_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_WAREHOUSE", "postgres")
    passwords = iter(["old", "new"])
    monkeypatch.setattr(
        clients, "client", lambda _: SecretsManager(json.dumps({**SECRET, "password": next(passwords)}))
    )
    first = wiring.warehouse()
    assert wiring.warehouse() is first

    wiring.forget_connections()

    assert wiring.warehouse() is not first
