"""docs/architecture.md's invariants, asked of S3, PostgreSQL, the index and Step Functions, not through Penstock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from tests.faults.deployment import PASSWORD, FaultyStack
from tests.faults.scenarios import MARK, Put

TABLES = ("readings", "people", "strict", "bulk", "states", "columnar")
INDEXES = ("readings", "people", "notes", "bulk", "states", "columnar")
KICKED_OFF = {"readings", "bulk"}
_SETTLED = re.compile(r"(-\d{5}-\d{2})?/settled/")
"""Behind a run's id: its batches', or those of the parts' plans, if it is a backfill."""
BESIDE = (".rejects.jsonl", ".reason.json")


def wrong(faulty: FaultyStack, case: str, puts: Sequence[Put], executions: Sequence[str]) -> list[str]:
    """What does not hold, in words, each beginning with its invariant's number; empty when all do."""
    return [
        *_files(faulty, case, puts),
        *_rows(faulty, case, puts),
        *_documents(faulty, case, puts),
        *_states(faulty, executions),
        *_leases(faulty, puts),
        *_kick_offs(faulty, executions),
    ]


def _kick_offs(faulty: FaultyStack, executions: Sequence[str]) -> Iterator[str]:
    """At rest each run that loaded what asks for it has kicked off, also a FAILED one: a closing has made up for it."""
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket
    for execution in executions:
        run = execution.rpartition(":")[2]
        loaded = set()
        for one in s3.list_objects_v2(Bucket=bucket, Prefix=f"plans/{run}").get("Contents", []):
            if not _SETTLED.match(one["Key"].removeprefix(f"plans/{run}")):
                continue
            settled = json.load(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"])
            if any(arrival["rows"] for arrival in settled["arrivals"]):
                loaded.add(settled["dataset"])
        for dataset in sorted(loaded & KICKED_OFF):
            item = faulty.client("dynamodb").get_item(
                TableName=faulty.deployment.outputs["LeaseTable"],
                Key={"pk": {"S": "kick_off"}, "sk": {"S": f"{run}#{dataset}"}},
            )
            if "Item" not in item:
                status = faulty.client("stepfunctions").describe_execution(executionArn=execution)["status"]
                yield f"kickoff: run {run} loaded {dataset}, ended {status} and nothing was kicked off for it"


def _versions(faulty: FaultyStack, case: str) -> dict[str, list[Mapping[str, Any]]]:
    """By key, every object version below the three prefixes that is of the case."""
    found = defaultdict(list)
    s3 = faulty.client("s3")
    for root in ("incoming", "processed", "failed"):
        for name in (
            "readings",
            "people",
            "notes",
            "strict",
            "bulk",
            "states",
            "columnar",
            "nobodys",
            "_unclaimed",
            "_unclaimed/nobodys",
        ):
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=faulty.deployment.bucket, Prefix=f"{root}/{name}/{case}/"
            )
            for page in pages:
                for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    found[version["Key"]].append(version)
    return found


def _files(faulty: FaultyStack, case: str, puts: Sequence[Put]) -> Iterator[str]:
    s3, bucket = faulty.client("s3"), faulty.deployment.bucket
    found = _versions(faulty, case)
    arrivals = {put.arrival: put for put in puts}
    places: dict[str, list[str]] = defaultdict(list)
    for key, versions in found.items():
        if key.startswith("incoming/"):
            yield f"1: {len(versions)} versions are left at {key}"
            continue
        if key.endswith(BESIDE):
            continue
        arrival = key.rpartition("/")[2][:32]
        places[arrival].append(key)
        if arrival not in arrivals:
            yield f"1: {key} is of no arrival that was put"
            continue
        for version in versions:
            if "Size" not in version:
                yield f"1: {key} has a delete marker"
                continue
            body = s3.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])["Body"].read()
            if hashlib.sha256(body).digest() != hashlib.sha256(arrivals[arrival].file.body).digest():
                yield f"1: the bytes of {key} are not those that were put"
    for arrival, put in arrivals.items():
        if len(places[arrival]) != 1:
            yield f"1: {put.file.key} ({arrival}) is at {places[arrival] or 'no place'}"
        elif places[arrival][0].split("/")[0] != ("failed" if put.file.failed else "processed"):
            yield f"1: {put.file.key} is at {places[arrival][0]}"
        elif put.file.failed and not [key for key in found if key.endswith(".reason.json") and arrival in key]:
            yield f"1: {put.file.key} failed and no reason is beside it"
        yield from _rejects(faulty, put, [key for key in found if key.endswith(".rejects.jsonl") and arrival in key])


def _rejects(faulty: FaultyStack, put: Put, keys: Sequence[str]) -> Iterator[str]:
    rejected = put.file.rows()[1] if put.file.dataset != "_unclaimed" else 0
    lines = 0
    for key in keys:
        body = faulty.client("s3").get_object(Bucket=faulty.deployment.bucket, Key=key)["Body"].read()
        lines += len(body.splitlines())
    if lines != rejected:
        yield f"3: {put.file.key} has {rejected} invalid rows, and {lines} rejects are written"


def _loaded(put: Put) -> list[tuple[str, str, int]]:
    """The rows that have to be in the destination."""
    file = put.file
    if file.failed or file.replaced or file.duplicate:
        return []
    return [row for row in file.rows()[0] if row[0] not in file.beaten]


def _rows(faulty: FaultyStack, case: str, puts: Sequence[Put]) -> Iterator[str]:
    with psycopg.connect(faulty.stack.warehouse_dsn("owner")) as connection:
        for table in TABLES:
            mine = [put for put in puts if put.file.dataset == table]
            query = f"SELECT penstock_arrival, id, sensor, value FROM public.{table} WHERE id LIKE %s"
            rows = connection.execute(query, [f"{case}-%"]).fetchall()
            # On Redshift rows of a COPY of many files carry its id, and each id of a row has its file's name in it.
            told = faulty.stack.parameters["Warehouse"] == "postgres"
            found = Counter((_hex(arrival) if told else "", *row) for arrival, *row in rows)
            wanted = Counter((put.arrival if told else "", *row) for put in mine for row in _loaded(put))
            for kind, difference in (("missing", wanted - found), ("too many", found - wanted)):
                if difference:
                    yield f"2: {difference.total()} rows of {table} are {kind}, as {next(iter(difference))[1]}"
            ids = [put.arrival for put in mine]
            ledger = {
                _hex(arrival): (verdict, rows, rejects, replaced is not None)
                for arrival, verdict, rows, rejects, replaced in connection.execute(
                    "SELECT arrival, verdict, rows, rejects, replaced_by FROM penstock.load"
                    f" WHERE arrival = ANY(%s::{'uuid' if told else 'text'}[])",
                    [ids],
                )
            }
            for put in mine:
                yield from _verdict(put, ledger.get(put.arrival))


def _hex(arrival: UUID | str) -> str:
    return arrival if isinstance(arrival, str) else arrival.hex


def _verdict(put: Put, said: tuple[str, int, int, bool] | None) -> Iterator[str]:
    file = put.file
    if said is None:
        yield f"2: the load ledger has no row of {file.key}"
        return
    verdict, rows, rejects, replaced = said
    wanted = "quarantined" if file.failed else "duplicate" if file.duplicate else "loaded"
    if verdict != wanted:
        yield f"2: the load ledger says {verdict} of {file.key}, which should be {wanted}"
    elif wanted == "loaded" and (rows, rejects) != (len(file.rows()[0]), file.rows()[1]):
        yield f"3: the load ledger says {rows} rows and {rejects} rejects of {file.key}"
    elif replaced != file.replaced:
        yield f"2: {file.key} is {'' if replaced else 'not '}replaced"


def _documents(faulty: FaultyStack, case: str, puts: Sequence[Put]) -> Iterator[str]:
    for index in INDEXES:
        mine = [put for put in puts if put.file.dataset == index]
        if not mine:
            continue
        wanted = Counter(row for put in mine for row in _loaded(put))
        found: Counter[tuple[str, str, int]] = Counter()
        for source in _sources(faulty, index, [put.arrival for put in mine]):
            if str(source["id"]).startswith(f"{case}-"):
                found[source["id"], source["sensor"], source["value"]] += 1
        for kind, difference in (("missing", wanted - found), ("too many", found - wanted)):
            if difference:
                yield f"4: {difference.total()} documents of {index} are {kind}, as {next(iter(difference))[0]}"


def _sources(faulty: FaultyStack, index: str, arrivals: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    url = f"{faulty.stack.search_url}/{index}"
    _asked(f"{url}/_refresh", {})
    for arrival in arrivals:
        query = {"size": 1000, "query": {"term": {"penstock_arrival": arrival}}}
        for hit in _asked(f"{url}/_search", query)["hits"]["hits"]:
            yield hit["_source"]


def _asked(url: str, question: Mapping[str, Any]) -> Any:
    """The index's answer, by Python's own client: Penstock's is among what is checked."""
    where = urlsplit(url)
    with contextlib.closing(HTTPConnection(where.netloc, timeout=60)) as connection:
        connection.request("POST", where.path, json.dumps(question), {"Content-Type": "application/json"})
        return json.load(connection.getresponse())


def _states(faulty: FaultyStack, executions: Sequence[str]) -> Iterator[str]:
    client = faulty.client("stepfunctions")
    for execution in executions:
        for page in client.get_paginator("get_execution_history").paginate(executionArn=execution):
            text = json.dumps(page["events"], default=str)
            yield from (f"5: the states of {execution} hold {what}" for what in _leaked(text))


def _leaked(text: str) -> list[str]:
    return [what for what, mark in (("content", MARK), ("the password", PASSWORD)) if mark in text]


def leaked_in_logs(faulty: FaultyStack) -> list[str]:
    """Of all that the functions logged."""
    logs = faulty.client("logs")
    found = []
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            for event in page["events"]:
                found += [f"5: {group['logGroupName']} holds {what}" for what in _leaked(event["message"])]
    return found


def _leases(faulty: FaultyStack, puts: Sequence[Put]) -> Iterator[str]:
    arrivals = {put.arrival for put in puts}
    for run in faulty.live("run"):
        yield f"7: run {run} is recorded as live, and holds leases or is to be started"
    for arrival in faulty.live("arrival"):
        if arrival in arrivals:
            yield f"7: arrival {arrival} is settled and still waits for its next attempt"
