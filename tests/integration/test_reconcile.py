"""Each thing broken by hand on a whole stack, and named; and a call that failed, kept and made again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from tests.integration.operating import at_rest, command, keys, put
from tests.integration.processes import eventually

from penstock.adapters.clock import SystemClock
from penstock.flows.reconcile import Kept
from penstock.flows.reconcile_in_parts import Portion, Rounds
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.stack import LocalStack
from penstock.model.arrivals import arrival_id_of
from penstock.model.dataset_files import load_datasets
from penstock.model.reconciliation import Disagreement

ROOT = Path(__file__).resolve().parents[2]
FILES = ("rows", "copied", "documents", "deleted", "unknown", "fine")


@pytest.fixture
def target(stack: LocalStack) -> Deployment:
    return local_deployment(stack)


@pytest.fixture
def pairs(stack: LocalStack, target: Deployment) -> Iterator[dict[str, str]]:
    """Files of two rows, settled: the key of each in `processed/`. Nothing of them is left for other tests."""
    folder = f"pairs/{uuid.uuid4().hex}"
    for name in FILES:
        put(stack, f"{folder}/{name}.csv", b"id,name\n1,one\n2,two\n")
    assert eventually(lambda: at_rest(stack) and len(keys(stack, f"processed/{folder}/")) == len(FILES))
    settled = list(target.store.keys(f"processed/{folder}/"))
    yield {name: key for name in FILES for key in settled if key.endswith(f"-{name}.csv")}
    for key in list(target.store.keys("processed/pairs/")):
        stack.client("s3").delete_object(Bucket=stack.bucket, Key=key)
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        connection.execute("TRUNCATE public.pairs")
        connection.execute("DELETE FROM penstock.load WHERE dataset = 'pairs'")
    forget_documents(stack, {"match_all": {}})


def forget_documents(stack: LocalStack, query: dict[str, Any]) -> None:
    body, headers = json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    answer = urllib3.request("POST", f"{stack.search_url}/pairs/_delete_by_query", body=body, headers=headers)
    assert answer.status == 200


def test_each_thing_that_is_broken_by_hand_is_named(
    stack: LocalStack, target: Deployment, pairs: dict[str, str], tmp_path: Path
) -> None:
    ids = {name: arrival_id_of(key) for name, key in pairs.items()}
    reconcile = ("reconcile", "-d", "pairs", "--datasets", str(stack.datasets))
    began = datetime.now(UTC).isoformat()
    whole = command(stack, *reconcile)
    s3, stranger = stack.client("s3"), uuid.uuid4().hex

    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        connection.execute("DELETE FROM public.pairs WHERE penstock_arrival = %s AND id = 1", (ids["rows"],))
        connection.execute("DELETE FROM penstock.load WHERE arrival = %s", (ids["unknown"],))
        connection.execute(
            "INSERT INTO public.pairs (id, penstock_arrival, penstock_loaded_at) VALUES (9, %s, now())", (stranger,)
        )
    copy = pairs["copied"].replace("processed/pairs/", "processed/pairs/copy/")
    s3.copy_object(Bucket=stack.bucket, Key=copy, CopySource={"Bucket": stack.bucket, "Key": pairs["copied"]})
    forget_documents(stack, {"term": {"penstock_arrival": ids["documents"]}})
    s3.delete_object(Bucket=stack.bucket, Key=pairs["deleted"])
    report = tmp_path / "report.json"
    broken = command(stack, *reconcile, "--report", str(report))
    since = command(stack, *reconcile, "--since", began, "--json")

    assert (whole.exit_code, broken.exit_code) == (0, 1), whole.output
    assert "All of it agrees" in whole.stdout
    named: dict[str, set[str]] = {}
    for one in json.loads(report.read_text())["disagreements"]:
        named.setdefault(one["arrival"], set()).add(one["kind"])
    assert named == {
        ids["rows"]: {"rows"},
        ids["copied"]: {"two_places"},
        ids["documents"]: {"documents"},
        ids["deleted"]: {"nowhere"},
        ids["unknown"]: {"unknown_rows", "no_ledger_row", "unknown_documents"},
        stranger: {"unknown_rows"},
    }
    assert "The ledger says 2 rows, and public.pairs has 1 of them." in broken.stdout
    assert "6 files disagree" in broken.stdout
    # Decided before, all but what nothing is decided of and was seen since.
    assert {one["arrival"] for one in json.loads(since.stdout)["disagreements"]} == {stranger}
    in_parts = [one for one in read_in_parts(stack, target, facts=20) if one.dataset == "pairs"]
    assert {(one.arrival, one.kind.value) for one in in_parts} == {(id_, kind) for id_ in named for kind in named[id_]}


def read_in_parts(stack: LocalStack, target: Deployment, facts: int) -> list[Disagreement]:
    """What the function finds where a call has no time for more."""
    known, portion = load_datasets(stack.datasets), Portion(facts=facts)
    ports = (target.store, target.leases, target.warehouse, target.search, SystemClock())
    for call in range(1000):
        found = Rounds(*ports, known, Kept(), portion).go_on(str(call), begins=True)
        assert found
        if found.complete:
            assert call
            return found.report.disagreements
    raise AssertionError("it does not come to an end")


@pytest.mark.usefixtures("pairs")
def test_the_lambda_counts_the_same_and_a_dry_run_does_nothing(stack: LocalStack, target: Deployment) -> None:
    reports = list(target.store.keys("plans/reconcile/"))
    dry = command(stack, "reconcile", "--dry-run", "--datasets", str(stack.datasets))
    after_dry_run = list(target.store.keys("plans/reconcile/"))
    with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
        connection.execute("TRUNCATE public.pairs")

    answer = stack.client("lambda").invoke(FunctionName=stack.outputs["ReconcileFunction"], Payload=b"{}")

    assert (dry.exit_code, after_dry_run) == (0, reports)
    assert f"would list s3://{stack.bucket}/processed/" in dry.stdout
    assert "FunctionError" not in answer
    found = target.store.get_json(json.loads(answer["Payload"].read())["report"])
    assert found["datasets"]["pairs"]["disagreements"] == len(FILES)


def test_a_call_that_failed_is_kept_told_and_made_again(stack: LocalStack, target: Deployment) -> None:
    functions, name = stack.client("lambda"), stack.outputs["ReconcileFunction"]
    given = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    broken = {**given, "PENSTOCK_LEASE_TABLE": ""}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": broken})
    letters = ("dead-letters", "--json")
    tick = json.loads((ROOT / "events" / "reconcile-schedule.json").read_text())

    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(tick).encode())
    kept = eventually(lambda: json.loads(command(stack, *letters).stdout)["waiting"]["undelivered"] == 1)
    told = json.loads(command(stack, *letters).stdout)["dead_letters"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": given})
    stack.client("sqs").send_message(
        QueueUrl=stack.outputs["ArrivalsDeadLetterQueueUrl"], MessageBody="a listing failed on it"
    )
    reports = len(list(target.store.keys("plans/reconcile/")))
    dry = command(stack, "dead-letters", "redrive", "--dry-run")
    done = command(stack, "dead-letters", "redrive")

    assert kept
    assert [one["source"] for one in told] == [f"function {name}"]
    assert "PENSTOCK_LEASE_TABLE" in told[0]["why"]
    assert f"would invoke {name} again" in dry.stdout
    assert "ask for a listing again" in done.stdout
    assert eventually(lambda: len(list(target.store.keys("plans/reconcile/"))) == reports + 1)
    assert command(stack, "dead-letters").stdout.strip() == "There are no dead letters."
