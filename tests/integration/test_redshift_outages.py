"""Redshift that is paused, full, refuses or lets nobody in: an outage, told apart from what one statement did wrong."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config
from tests.contract.engines import free_port
from tests.integration.standin import Standin, batch_of

from penstock.adapters.redshift import DataApi, Endpoint
from penstock.adapters.redshift.outage import is_conflict, is_outage
from penstock.local.redshift.server import PAUSED
from penstock.model.errors import DestinationDownError, PermanentError

REFUSALS = [
    PAUSED,
    ("ValidationException", "Redshift endpoint doesn't exist in this region."),
    ("ValidationException", "username and password in secret cannot be empty"),
    ("AccessDeniedException", "User is not authorized to perform: redshift-data:BatchExecuteStatement"),
    ("ActiveSessionsExceededException", "The maximum number of active sessions is exceeded."),
    ("ActiveStatementsExceededException", "The number of active statements exceeds the limit."),
    ("ThrottlingException", "Rate exceeded"),
    ("DatabaseConnectionException", "Connection to a database failed."),
    ("BatchExecuteStatementException", "An SQL statement encountered an environmental error while running."),
    ("InternalServerException", ""),
]


def impatient(endpoint: str) -> DataApi:
    """Without the SDK's own tries, which last for seconds."""
    made = boto3.client(
        "redshift-data",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
    return DataApi(made, Endpoint("dev", cluster="local"))


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: "-".join(refusal)[:40])
def test_whatever_the_api_refuses_a_statement_for_is_the_warehouse_down(
    standin: Standin, refusal: tuple[str, str]
) -> None:
    standin.server.api.pause(*refusal)

    with pytest.raises(DestinationDownError, match=refusal[0]) as down:
        impatient(standin.server.endpoint).run(["SELECT 1"], "count")

    assert down.value.destination == "warehouse"


def test_an_api_that_does_not_answer_is_the_warehouse_down() -> None:
    with pytest.raises(DestinationDownError, match="EndpointConnectionError"):
        impatient(f"http://127.0.0.1:{free_port()}").execute("SELECT 1", "count")


def test_a_user_that_may_not_come_in_is_the_warehouse_down(standin: Standin) -> None:
    with pytest.raises(DestinationDownError, match="FATAL: role … does not exist"):
        list(standin._api("nobody").query("SELECT 1", "count", "flights"))


def test_a_secret_that_cannot_be_read_is_the_warehouse_down(standin: Standin) -> None:
    api = DataApi(standin.client, Endpoint("dev", workgroup="local", secret_arn="gone"))

    with pytest.raises(DestinationDownError, match="ResourceNotFoundException"):
        list(api.query("SELECT 1", "count"))


def test_what_one_statement_does_wrong_is_no_outage(standin: Standin) -> None:
    api = standin._api("penstock_loader")

    for statement in ("SELECT CAST('FATAL: the cluster is paused' AS integer)", "SELECT 1 / 0", "SELECT"):
        with pytest.raises(PermanentError):
            list(api.query(statement, "count", "flights"))
    with pytest.raises(PermanentError, match="longer than"):
        api.run([f"SELECT '{'x' * 100_000}'"], "count")
    with pytest.raises(PermanentError, match="does not exist"):
        api.describe("4cf1c6ba-9b0d-4d45-a06b-3a1c0f1a0f0e", "count")


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        ('FATAL: password authentication failed for user "loader"', True),
        ('FATAL: connection limit "500" exceeded for non-bootstrap users', True),
        ("FATAL: the database system is shutting down", True),
        ("The connection attempt failed.", True),
        ("Redshift cluster is paused", True),
        ("ERROR: Disk Full", True),
        ("ERROR: transaction is read-only", True),
        ("ERROR: cannot execute INSERT in a read-only transaction", True),
        ("Database response exceeded size limit", False),
        ('ERROR: invalid input syntax for type integer: "FATAL: read-only connection"', False),
        ("ERROR: Load into table 'x' failed.  Check 'sys_load_error_detail' system table for details.", False),
        ("", False),
    ],
)
def test_how_a_statement_ended_tells_an_outage_from_its_own_fault(error: str, outage: bool) -> None:
    assert is_outage("FAILED", error) is outage
    assert is_outage("ABORTED", error)
    assert not is_outage("FINISHED", error)


@pytest.mark.parametrize(
    ("error", "conflict"),
    [
        ("ERROR: 1023\n  DETAIL: Serializable isolation violation on table - 1256109, transactions forming …", True),
        ("ERROR:1023 DETAIL: Serializable isolation violation on a table in Redshift", True),
        ("ERROR: Serializable isolation violation on table - 7", True),
        ("ERROR: deadlock detected", True),
        ('ERROR: invalid input syntax for type integer: "1023"', False),
        ('ERROR: invalid input syntax for type integer: "ERROR: deadlock detected"', False),
        ("ERROR: division by zero", False),
        ("", False),
    ],
)
def test_how_a_statement_ended_tells_that_another_came_first(error: str, conflict: bool) -> None:
    assert is_conflict(error) is conflict


def test_a_load_that_a_pause_has_cut_off_is_made_once_when_that_is_over(standin: Standin) -> None:
    dataset = standin.dataset()
    arrival = standin.put(dataset, "a.csv", b"1,a,1\n")
    batch = batch_of(dataset, arrival)
    standin.open.clear()
    progress = standin.warehouse.begin(batch, dataset, standin.store)
    standin.server.api.pause(*PAUSED)
    standin.open.set()
    standin.wait(progress)

    for _ in range(2):
        with pytest.raises(DestinationDownError) as down:
            standin.warehouse.poll(batch, dataset, progress.handle)
        assert down.value.destination == "warehouse"
    standin.server.api.resume()
    again = standin.warehouse.poll(batch, dataset, progress.handle)
    standin.ends(dataset, batch, again)

    assert again.running
    assert standin.counts(dataset) == {arrival.id: 1}
