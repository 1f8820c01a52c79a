"""Loads into Redshift that are begun and looked after, on the stand-in: what one COPY of many files has to keep."""

from __future__ import annotations

import json
import threading

import pytest
from tests.contract.warehouses import dataset_of, load
from tests.integration.standin import Standin, batch_of

from penstock.adapters.redshift import DataApi, Endpoint, RedshiftSchema
from penstock.model.errors import DestinationDownError, PermanentError
from penstock.model.outcomes import LoadOutcome, Verdict


def test_a_batch_is_one_copy_by_a_manifest_of_mandatory_files(standin: Standin) -> None:
    dataset = standin.dataset()
    files = [standin.put(dataset, f"{number}.csv", b"1,a,1\n" * number) for number in range(1, 4)]

    outcomes = load(standin.warehouse, dataset, standin.store, *files)

    (copy,) = standin.copies()
    manifest = json.loads(standin.store.content(copy.partition("FROM 's3://landing/")[2].partition("'")[0]))
    assert [(entry["mandatory"], entry["meta"]["content_length"]) for entry in manifest["entries"]] == [
        (True, file.size) for file in files
    ]
    assert [outcomes[file.id].rows for file in files] == [1, 2, 3]
    assert standin.counts(dataset) == {file.id: number for number, file in enumerate(files, 1)}


def test_begin_does_not_wait_and_poll_says_that_it_runs(standin: Standin) -> None:
    dataset = standin.dataset()
    batch = batch_of(dataset, standin.put(dataset, "a.csv", b"1,a,1\n"))
    standin.open.clear()

    progress = standin.warehouse.begin(batch, dataset, standin.store)

    assert progress.running
    assert standin.warehouse.poll(batch, dataset, progress.handle) == progress
    assert standin.warehouse.outcomes(dataset, batch.arrivals) == {}


def test_begun_again_by_a_second_function_it_is_the_same_statement(standin: Standin) -> None:
    dataset = standin.dataset()
    batch = batch_of(dataset, standin.put(dataset, "a.csv", b"1,a,1\n"))
    standin.open.clear()

    first = standin.warehouse.begin(batch, dataset, standin.store)
    again = standin.another().begin(batch, dataset, standin.store)

    assert again == first


def test_a_load_that_was_given_up_on_and_runs_late_adds_nothing(standin: Standin) -> None:
    dataset = standin.dataset()
    one, other = (standin.put(dataset, name, b"1,a,1\n") for name in ("a.csv", "b.csv"))
    late = batch_of(dataset, one, other)
    standin.open.clear()
    given_up = standin.warehouse.begin(late, dataset, standin.store)
    held, standin.open = standin.open, threading.Event()
    standin.open.set()

    load(standin.another(), dataset, standin.store, one)
    held.set()
    assert standin.wait(given_up)["Status"] == "FAILED"
    standin.ends(dataset, late, given_up)

    assert standin.counts(dataset) == {one.id: 1, other.id: 1}


def test_a_file_that_copy_refuses_is_set_aside_and_the_others_are_copied(standin: Standin) -> None:
    dataset = standin.dataset()
    files = [standin.put(dataset, f"{number}.csv", b"1,a,1\n") for number in range(4)]
    bad = standin.put(dataset, "bad.csv", b"1,a,1\n2,b,soon\n")

    outcomes = load(standin.warehouse, dataset, standin.store, *files, bad)

    assert outcomes[bad.id].verdict is Verdict.QUARANTINED
    assert "line 3, column delay" in outcomes[bad.id].reason
    assert [outcomes[file.id] for file in files] == [LoadOutcome(Verdict.LOADED, rows=1)] * 4
    assert len(standin.copies()) == 2


def test_many_bad_files_take_three_rounds_and_no_more(standin: Standin) -> None:
    dataset = standin.dataset(max_reject_ratio=0.5)
    files = [standin.put(dataset, f"{number}.csv", b"1,a,1\n2,b,soon\n") for number in range(6)]

    outcomes = load(standin.warehouse, dataset, standin.store, *files)

    assert [outcomes[file.id] for file in files] == [LoadOutcome(Verdict.LOADED, rows=1, rejects=1)] * 6
    assert len(standin.loads) == 3
    assert standin.counts(dataset) == {file.id: 1 for file in files}


def test_a_key_that_is_put_again_while_it_is_loaded_is_loaded_as_it_was(standin: Standin) -> None:
    dataset = standin.dataset()
    arrival = standin.put(dataset, "a.csv", b"1,a,1\n")
    batch = batch_of(dataset, arrival)
    standin.open.clear()
    progress = standin.warehouse.begin(batch, dataset, standin.store)

    standin.put(dataset, "a.csv", b"2,b,2\n3,c,3\n")
    standin.open.set()
    standin.ends(dataset, batch, progress)

    assert standin.counts(dataset) == {arrival.id: 1}


def test_a_file_that_copy_does_not_find_fails_the_load(standin: Standin) -> None:
    dataset = standin.dataset()
    arrival = standin.put(dataset, "a.csv", b"1,a,1\n")
    batch = batch_of(dataset, arrival)
    standin.open.clear()
    progress = standin.warehouse.begin(batch, dataset, standin.store)
    for key in list(standin.store.keys("plans/copies/")):
        if key.endswith(arrival.id):
            standin.store.delete(key)

    standin.open.set()
    found = standin.wait(progress)

    assert found["Status"] == "FAILED"
    assert standin.counts(dataset) == {}
    with pytest.raises(DestinationDownError, match="COPY_ROLE"):
        standin.warehouse.poll(batch, dataset, progress.handle)


def test_a_cancelled_load_is_tried_again_as_another_statement(standin: Standin) -> None:
    dataset = standin.dataset()
    arrival = standin.put(dataset, "a.csv", b"1,a,1\n")
    batch = batch_of(dataset, arrival)
    standin.open.clear()
    progress = standin.warehouse.begin(batch, dataset, standin.store)
    standin.client.cancel_statement(Id=progress.handle.split()[-1])
    standin.open.set()
    standin.wait(progress)

    again = standin.warehouse.poll(batch, dataset, progress.handle)
    standin.ends(dataset, batch, again)

    assert again.handle != progress.handle
    assert standin.counts(dataset) == {arrival.id: 1}


def test_replaced_files_are_copied_one_by_one_and_each_row_knows_its_own(standin: Standin) -> None:
    dataset = standin.dataset(on_overwrite="replace")
    files = [standin.put(dataset, f"{number}.csv", b"1,a,1\n") for number in range(15)]

    load(standin.warehouse, dataset, standin.store, *files)

    assert len(standin.copies()) == 12
    assert standin.counts(dataset) == {file.id: 1 for file in files}


def test_files_of_several_headers_and_compressions_are_one_transaction(standin: Standin) -> None:
    dataset = standin.dataset()
    plain = standin.put(dataset, "a.csv", b"1,a,1\n")
    turned = standin.put(dataset, "b.csv", b"b,2,2\n", header=b"name,id,delay\n")
    marked = standin.put(dataset, "c.csv", b"3,c,3\n", header=b"\xef\xbb\xbfid,name,delay\n")

    outcomes = load(standin.warehouse, dataset, standin.store, plain, turned, marked)

    assert [outcomes[file.id].rows for file in (plain, turned, marked)] == [1, 1, 1]
    assert (len(standin.loads), len(standin.copies())) == (1, 2)


def test_a_batch_of_long_keys_stays_within_the_apis_limits(standin: Standin) -> None:
    dataset = standin.dataset()
    arrival = standin.put(dataset, "x" * 900, b"1,a,1\n")
    many = [standin.put(dataset, "\\" * 200 + f"{number:0>700}.csv", b"1,a,1\n") for number in range(120)]

    standin.warehouse.quarantine(dataset, many, "r" * 200)
    outcomes = load(standin.warehouse, dataset, standin.store, arrival, *many)

    assert outcomes[arrival.id].rows == 1
    assert {outcomes[file.id].verdict for file in many} == {Verdict.QUARANTINED}


def test_more_rows_than_an_answer_holds_are_fetched_page_by_page(standin: Standin) -> None:
    api = DataApi(standin.client, Endpoint("dev", workgroup="local"))

    rows = list(api.query("SELECT n, CAST(n AS VARCHAR), NULL FROM generate_series(1, 2500) AS n", "count"))

    assert rows == [(n, str(n), None) for n in range(1, 2501)]


def test_more_statements_than_the_api_takes_are_refused(standin: Standin) -> None:
    api = DataApi(standin.client, Endpoint("dev", workgroup="local"))

    with pytest.raises(PermanentError, match="at most 40"):
        api.run(["SELECT 1"] * 41, "count")


def test_one_statement_that_fails_undoes_those_before_it(standin: Standin) -> None:
    dataset = standin.dataset()
    insert = f"INSERT INTO {dataset.name} (id, penstock_arrival) VALUES (1, 'x')"

    ended = DataApi(standin.client, Endpoint("dev", workgroup="local")).run([insert, "SELECT 1 / 0"], "try")

    assert (ended.status, ended.failed) == ("FAILED", 1)
    assert standin.counts(dataset) == {}


def test_an_endpoint_is_serverless_or_a_cluster_and_one_way_in() -> None:
    with pytest.raises(PermanentError):
        Endpoint("dev")
    with pytest.raises(PermanentError):
        Endpoint("dev", workgroup="w", cluster="c", db_user="u")
    with pytest.raises(PermanentError):
        Endpoint("dev", cluster="c", db_user="u", secret_arn="s")
    assert Endpoint("dev", workgroup="w").parameters() == {"Database": "dev", "WorkgroupName": "w"}


def test_what_is_granted_to_a_database_role_is_had_by_its_members(standin: Standin) -> None:
    dataset = dataset_of()

    RedshiftSchema(standin._api("penstock_owner"), "ROLE penstock_loader").apply([dataset])

    arrival = standin.put(dataset, "a.csv", b"1,one,\n")
    assert load(standin.warehouse, dataset, standin.store, arrival)[arrival.id].rows == 1
