"""What stands against every file of a dataset is no file's fault; what stands against one is that one's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import PostgresWarehouse
from penstock.model.datasets import Dataset
from penstock.model.errors import DestinationDownError, PermanentError
from penstock.model.outcomes import Verdict
from penstock.model.plans import Batch

CLEAN = b"id,name,delay\n1,one,-5\n2,,\n"


@contextmanager
def changed(postgres: Postgres, statement: str, back: str) -> Iterator[None]:
    with psycopg.connect(postgres.superuser, autocommit=True) as connection:
        database = psycopg.conninfo.conninfo_to_dict(postgres.loader)["dbname"]
        connection.execute(statement.replace("DATABASE this", f"DATABASE {database}").encode())
        try:
            yield
        finally:
            connection.execute(back.replace("DATABASE this", f"DATABASE {database}").encode())


@pytest.mark.parametrize(
    ("statement", "back", "advice"),
    [
        ("ALTER TABLE {} RENAME TO hidden", "ALTER TABLE hidden RENAME TO {}", "42P01.*penstock apply"),
        ("ALTER TABLE {} RENAME name TO other", "ALTER TABLE {} RENAME other TO name", "42703.*penstock apply"),
        ("REVOKE INSERT ON {} FROM {loader}", "GRANT INSERT ON {} TO {loader}", "42501.*penstock apply"),
        ("REVOKE DELETE ON {} FROM {loader}", "GRANT DELETE ON {} TO {loader}", "42501.*penstock apply"),
        (
            "REVOKE SELECT ON penstock.load FROM {loader}",
            "GRANT SELECT ON penstock.load TO {loader}",
            "42501.*penstock apply",
        ),
        ("REVOKE USAGE ON SCHEMA penstock FROM {loader}", "GRANT USAGE ON SCHEMA penstock TO {loader}", "42501"),
        ("REVOKE TEMP ON DATABASE this FROM PUBLIC", "GRANT TEMP ON DATABASE this TO PUBLIC", "temporary tables"),
    ],
)
def test_what_is_refused_to_every_file_is_the_destination_down_for_that_dataset(
    kit: PostgresKit, postgres: Postgres, statement: str, back: str, advice: str
) -> None:
    dataset, store = dataset_of(on_overwrite="replace"), FakeObjectStore()
    kit.apply(dataset)
    table = dataset.table.name if dataset.table else ""
    arrival = store.put(f"incoming/{dataset.prefix}a.csv", CLEAN)

    with (
        changed(
            postgres, statement.format(table, loader="penstock_loader"), back.format(table, loader="penstock_loader")
        ),
        pytest.raises(DestinationDownError, match=advice) as down,
    ):
        kit.warehouse.begin(Batch(0, dataset.name, (arrival,)), dataset, store)

    assert down.value.destination == f"warehouse/{dataset.name}"
    assert load(kit.warehouse, dataset, store, arrival)[arrival.id].rows == 2


def test_a_trigger_that_refuses_one_file_with_such_an_error_is_no_outage(kit: PostgresKit, postgres: Postgres) -> None:
    dataset, store = dataset_of(), FakeObjectStore()
    kit.apply(dataset)
    _refuse(postgres, dataset, 66)
    bad = store.put(f"incoming/{dataset.prefix}bad.csv", b"id,name,delay\n66,no,1\n")
    good = store.put(f"incoming/{dataset.prefix}good.csv", CLEAN)

    alone = store.put(f"incoming/{dataset.prefix}alone.csv", b"id,name,delay\n66,no,2\n")

    outcomes = load(kit.warehouse, dataset, store, bad, good)
    with pytest.raises(PermanentError, match="42501"):
        load(kit.warehouse, dataset, store, alone)

    assert (outcomes[bad.id].verdict, outcomes[good.id].verdict) == (Verdict.QUARANTINED, Verdict.LOADED)
    assert "not for 66" in outcomes[bad.id].reason


def _refuse(postgres: Postgres, dataset: Dataset, number: int) -> None:
    assert dataset.table is not None
    name = dataset.table.name
    with psycopg.connect(postgres.owner, autocommit=True) as connection:
        connection.execute(
            f"CREATE FUNCTION public.refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF NEW.id = {number} THEN RAISE insufficient_privilege USING MESSAGE = 'not for {number}'; END IF;"
            " RETURN NEW; END $$".encode()
        )
        trigger = f"CREATE TRIGGER refuse BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION public.refuse_{name}()"
        connection.execute(trigger.encode())


def test_a_database_or_a_role_that_is_not_there_is_the_whole_warehouse_down(postgres: Postgres) -> None:
    dataset = dataset_of()
    for there, odd in (("dbname=", "dbname=nowhere_"), ("user=penstock_loader", "user=nobody")):
        warehouse = PostgresWarehouse(postgres.loader.replace(there, odd))

        with pytest.raises(DestinationDownError, match="secret") as down:
            warehouse.outcomes(dataset, [])

        assert down.value.destination == "warehouse"


def test_what_the_connection_string_is_asked_of_is_asked_at_the_first_call_and_again_after_it_failed(
    postgres: Postgres,
) -> None:
    down = DestinationDownError("warehouse", "its secret can't be read")
    answers: Iterator[str | DestinationDownError] = iter([down, postgres.loader])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    warehouse = PostgresWarehouse(ask)
    kit = PostgresKit(postgres.owner, postgres.loader)
    dataset = dataset_of()
    kit.apply(dataset)

    with pytest.raises(DestinationDownError, match="secret"):
        warehouse.outcomes(dataset, [])

    assert warehouse.outcomes(dataset, []) == {}
    warehouse.close()
    kit.close()
