"""What an operator, and the state machine, learn of a psycopg error."""

from __future__ import annotations

import socket

import psycopg
import pytest
from psycopg import errors

from penstock.adapters.postgres.errors import is_row_fault, root_of, translated, without_values
from penstock.adapters.postgres.warehouse import PostgresWarehouse
from penstock.model.datasets import Dataset
from penstock.model.errors import DestinationDownError, PermanentError, TransientError, down_in

DATASET = Dataset.model_validate(
    {"name": "t", "prefix": "t/", "format": "csv", "columns": [{"name": "k", "type": "text"}], "table": "t"}
)


@pytest.mark.parametrize(
    "error",
    [
        errors.AdminShutdown,
        errors.ConnectionException,
        errors.DeadlockDetected,
        errors.IdleInTransactionSessionTimeout,
        errors.LockNotAvailable,
        errors.OutOfMemory,
        errors.QueryCanceled,
        errors.SerializationFailure,
        psycopg.InterfaceError,
        psycopg.OperationalError,
    ],
)
def test_what_may_pass_is_transient(error: type[psycopg.Error]) -> None:
    root = root_of(error(), "load batch 3 of dataset flights")

    assert type(root) is TransientError
    assert str(root).startswith("the warehouse could not load batch 3 of dataset flights: ")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errors.UndefinedTable, "penstock apply"),
        (errors.UndefinedColumn, "penstock apply"),
        (errors.InvalidSchemaName, "penstock apply"),
        (errors.InsufficientPrivilege, "penstock apply"),
        (errors.DatatypeMismatch, "penstock apply"),
        (errors.InvalidCatalogName, "the warehouse's secret"),
        (errors.SyntaxError, ""),
        (psycopg.ProgrammingError, ""),
    ],
)
def test_what_fails_again_is_permanent_and_says_what_to_do(error: type[psycopg.Error], advice: str) -> None:
    root = root_of(error(), "load it")

    assert type(root) is PermanentError
    assert advice in str(root)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errors.CannotConnectNow, "server is up"),
        (errors.DiskFull, "room on its disk"),
        (errors.InvalidPassword, "the warehouse's secret"),
        (errors.ReadOnlySqlTransaction, "server is up"),
        (errors.TooManyConnections, "connections left"),
    ],
)
def test_what_is_no_files_fault_says_that_the_warehouse_is_down(error: type[psycopg.Error], advice: str) -> None:
    root = root_of(error(), "load it")

    assert isinstance(root, DestinationDownError)
    assert root.destination == down_in(str(root)) == "warehouse"
    assert advice in str(root)


def test_a_server_that_can_not_be_connected_to_is_down() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Nobody listens on it.
        warehouse = PostgresWarehouse(f"host=127.0.0.1 port={taken.getsockname()[1]} dbname=x user=x")

        with pytest.raises(DestinationDownError, match="refused"):
            warehouse.outcomes(DATASET, [])


@pytest.mark.parametrize("error", [errors.NotNullViolation, errors.InvalidTextRepresentation, errors.BadCopyFileFormat])
def test_a_row_may_be_to_blame(error: type[psycopg.Error]) -> None:
    assert is_row_fault(error())


@pytest.mark.parametrize("error", [errors.UndefinedTable, errors.QueryCanceled, psycopg.OperationalError])
def test_a_row_is_not_to_blame_for_the_server(error: type[psycopg.Error]) -> None:
    assert not is_row_fault(error())


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('invalid input syntax for type smallint: "x"', "invalid input syntax for type smallint"),
        ('value "99999" is out of range for type smallint', "value is out of range for type smallint"),
        ('invalid input syntax for type json: "a "b"\n"', "invalid input syntax for type json"),
    ],
)
def test_a_value_is_taken_out_of_a_message(message: str, words: str) -> None:
    assert without_values(message) == words


def test_what_psycopg_quotes_of_a_row_is_not_chained() -> None:
    with pytest.raises(TransientError) as caught, translated("load it"):
        raise errors.QueryCanceled("canceling statement\nCONTEXT: COPY flights, line 3, column x: secret")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
