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
from tests.integration.processes import eventually
from typer.testing import CliRunner

from penstock.cli import app
from penstock.local.deployment import Deployment, local_deployment
from penstock.local.settling import wait_for
from penstock.local.stack import LocalStack
from penstock.model.arrivals import arrival_id_of

ROOT = Path(__file__).resolve().parents[2]
FILES = ("rows", "copied", "documents", "deleted", "unknown", "fine")
ROW = {"origin": "EWR", "year": 2013, "month": 1, "day": 1, "hour": 1, "time_hour": "2013-01-01T06:00:00Z"}


@pytest.fixture
def target(local_stack: LocalStack) -> Deployment:
    return local_deployment(local_stack)


@pytest.fixture
def weather(local_stack: LocalStack, target: Deployment) -> Iterator[dict[str, str]]:
    """Files of two rows, settled: the key of each in `processed/`. Nothing of them is left for other tests."""
    s3, bucket = local_stack.client("s3"), local_stack.bucket
    folder = f"weather/{uuid.uuid4().hex}"
    lines = b"".join(json.dumps({**ROW, "hour": hour}).encode() + b"\n" for hour in (1, 2))
    keys = {name: f"incoming/{folder}/{name}.jsonl" for name in FILES}
    for key in keys.values():
        s3.put_object(Bucket=bucket, Key=key, Body=lines)
    wait_for(target, set(keys.values()), lambda _: None)
    settled = list(target.store.keys(f"processed/{folder}/"))
    yield {name: key for name in FILES for key in settled if key.endswith(f"-{name}.jsonl")}
    for prefix in ("processed/weather/", "failed/weather/"):
        for key in list(target.store.keys(prefix)):
            s3.delete_object(Bucket=bucket, Key=key)
    with psycopg.connect(local_stack.warehouse_dsn("owner")) as connection:
        connection.execute("TRUNCATE public.weather")
        connection.execute("DELETE FROM penstock.load WHERE dataset = 'weather'")
    forget_documents(local_stack, {"match_all": {}})


def forget_documents(stack: LocalStack, query: dict[str, Any]) -> None:
    body, headers = json.dumps({"query": query}).encode(), {"content-type": "application/json"}
    answer = urllib3.request("POST", f"{stack.search_url}/weather/_delete_by_query", body=body, headers=headers)
    assert answer.status == 200


def penstock(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setenv("PENSTOCK_HOME", str(stack.folder.parent))
    monkeypatch.setenv("COLUMNS", "400")
    return CliRunner().invoke(app, [*arguments, "--stack", stack.name])


def test_each_thing_that_is_broken_by_hand_is_named(
    local_stack: LocalStack, weather: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = {name: arrival_id_of(key) for name, key in weather.items()}
    datasets = ("--datasets", str(ROOT / "datasets"))
    began = datetime.now(UTC).isoformat()
    whole = penstock(local_stack, monkeypatch, "reconcile", "-d", "weather", *datasets)
    s3, stranger = local_stack.client("s3"), uuid.uuid4().hex

    with psycopg.connect(local_stack.warehouse_dsn("owner")) as connection:
        connection.execute("DELETE FROM public.weather WHERE penstock_arrival = %s AND hour = 1", (ids["rows"],))
        connection.execute("DELETE FROM penstock.load WHERE arrival = %s", (ids["unknown"],))
        connection.execute("SELECT set_config('penstock.arrival', %s, true)", (stranger,))
        connection.execute(
            "INSERT INTO public.weather (origin, year, month, day, hour, time_hour) VALUES ('JFK', 1, 1, 1, 1, now())"
        )
    copy = weather["copied"].replace("processed/weather/", "processed/weather/copy/")
    s3.copy_object(
        Bucket=local_stack.bucket, Key=copy, CopySource={"Bucket": local_stack.bucket, "Key": weather["copied"]}
    )
    forget_documents(local_stack, {"term": {"penstock_arrival": ids["documents"]}})
    s3.delete_object(Bucket=local_stack.bucket, Key=weather["deleted"])
    report = tmp_path / "report.json"
    broken = penstock(local_stack, monkeypatch, "reconcile", "-d", "weather", "--report", str(report), *datasets)
    since = penstock(local_stack, monkeypatch, "reconcile", "-d", "weather", "--since", began, "--json", *datasets)

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
    assert "The ledger says 2 rows, and public.weather has 1 of them." in broken.stdout
    assert "6 files disagree" in broken.stdout
    # Decided before, all but what nothing is decided of and was seen since.
    assert {one["arrival"] for one in json.loads(since.stdout)["disagreements"]} == {stranger}


def test_the_lambda_counts_the_same_and_a_dry_run_does_nothing(
    local_stack: LocalStack, target: Deployment, weather: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = list(target.store.keys("plans/reconcile/"))
    options = ("--dry-run", "--datasets", str(ROOT / "datasets"))
    dry = penstock(local_stack, monkeypatch, "reconcile", *options)
    after_dry_run = list(target.store.keys("plans/reconcile/"))
    with psycopg.connect(local_stack.warehouse_dsn("owner")) as connection:
        connection.execute("TRUNCATE public.weather")

    answer = local_stack.client("lambda").invoke(FunctionName=local_stack.outputs["ReconcileFunction"], Payload=b"{}")

    assert (dry.exit_code, after_dry_run) == (0, reports)
    assert f"would list s3://{local_stack.bucket}/processed/" in dry.stdout
    assert "FunctionError" not in answer
    found = target.store.get_json(json.loads(answer["Payload"].read())["report"])
    assert found["datasets"]["weather"]["disagreements"] == len(FILES)


def test_a_call_that_failed_is_kept_told_and_made_again(
    local_stack: LocalStack, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, name = local_stack.client("lambda"), local_stack.outputs["ReconcileFunction"]
    given = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    broken = {**given, "PENSTOCK_LEASE_TABLE": ""}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": broken})
    letters = ("dead-letters", "--json")
    tick = json.loads((ROOT / "events" / "reconcile-schedule.json").read_text())

    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(tick).encode())
    kept = eventually(
        lambda: json.loads(penstock(local_stack, monkeypatch, *letters).stdout)["waiting"]["undelivered"] == 1
    )
    told = json.loads(penstock(local_stack, monkeypatch, *letters).stdout)["dead_letters"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": given})
    local_stack.client("sqs").send_message(
        QueueUrl=local_stack.outputs["ArrivalsDeadLetterQueueUrl"], MessageBody="a listing failed on it"
    )
    reports = len(list(target.store.keys("plans/reconcile/")))
    dry = penstock(local_stack, monkeypatch, "dead-letters", "redrive", "--dry-run")
    done = penstock(local_stack, monkeypatch, "dead-letters", "redrive")

    assert kept
    assert [one["source"] for one in told] == [f"function {name}"]
    assert "PENSTOCK_LEASE_TABLE" in told[0]["why"]
    assert f"would invoke {name} again" in dry.stdout
    assert "ask for a listing again" in done.stdout
    assert eventually(lambda: len(list(target.store.keys("plans/reconcile/"))) == reports + 1)
    assert penstock(local_stack, monkeypatch, "dead-letters").stdout.strip() == "There are no dead letters."
