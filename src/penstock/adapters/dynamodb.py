"""The lease table: runs, put-back arrivals, the listing lease and kickoffs, told apart by their partition key.

| pk       | sk         | what it is                                                | `live`                       |
|----------|------------|-----------------------------------------------------------|------------------------------|
| run      | plan id    | a run; while live it leases all arrivals of its plan      | while the run is live        |
| arrival  | arrival id | attempts and not_before of one that was put back          | until it is settled          |
| listing  | listing    | who lists; its token fences off whoever listed before     | never                        |
| breaker  | destination| that a destination is down, and when it is tried again    | while it is open             |
| memo     | its name   | what a listing leaves for the next                        | always                       |
| kick_off | run#dataset| what a run kicked off for a dataset                       | never                        |

The local secondary index `live` (pk, live) holds only items with that attribute and can be read consistently, so
finding what is live costs nothing for what is not. A run is one item whatever it holds: the table costs next to nothing
per file.
`expires_at` (epoch seconds) is DynamoDB's TTL, for tidying alone; nothing here trusts it to be on time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, translated
from penstock.adapters.dynamodb_table import DynamoTable, packed
from penstock.model.backfills import Claim
from penstock.model.breakers import Breaker
from penstock.model.errors import TransientError
from penstock.ports import Attempt, ListingLease, Memo, RunRecord, RunStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEPT = timedelta(days=90)
"""How long history is kept after its last use: as long as Step Functions keeps an execution."""
_FEW = 100
"""Arrivals that wait, which are read whether they are asked for or not: 25 KB at most, as a rule."""
_LISTING = {"pk": {"S": "listing"}, "sk": {"S": "listing"}}
_REFUSED = "ConditionalCheckFailedException"


class DynamoLeases:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._items = DynamoTable(client, table)

    # ── the listing lease ───────────────────────────────────────────────────────────────────────────────────────────

    def acquire_listing(self, owner: str, now: datetime, lasting: timedelta) -> ListingLease | None:
        while True:
            lease = self._take_listing(owner, now, now + lasting)
            if lease is not None:
                return lease
            if self._mark_dirty(now):
                return None
            # The holder went between the two calls and has not seen the mark: the lease is free.

    def _take_listing(self, owner: str, now: datetime, expires: datetime) -> ListingLease | None:
        # The mark is left alone: if it stands, someone asked for a listing that the last holder did not live to make.
        # The owner may take it again, to prolong it, or because it lost the reply to its first call.
        with translated(f"take the listing lease in {self._table}"):
            try:
                found = self._client.update_item(
                    TableName=self._table,
                    Key=_LISTING,
                    UpdateExpression="SET #owner = :owner, #expires = :expires ADD #token :one",
                    ConditionExpression="attribute_not_exists(#owner) OR #owner = :owner OR #expires <= :now",
                    ExpressionAttributeNames={"#owner": "owner", "#expires": "expires", "#token": "token"},
                    ExpressionAttributeValues=packed(
                        {":owner": owner, ":expires": _millis(expires), ":now": _millis(now), ":one": 1}
                    ),
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if code_of(error) == _REFUSED:
                    return None
                raise
        return ListingLease(owner=owner, token=int(found["Attributes"]["token"]["N"]), expires=expires)

    def _mark_dirty(self, now: datetime) -> bool:
        """False when nobody holds the lease any more, so that a mark would be read by nobody."""
        return self._update_listing(
            "SET #dirty = :true",
            "attribute_exists(#owner) AND #expires > :now",
            {"#dirty": "dirty", "#owner": "owner", "#expires": "expires"},
            {":true": True, ":now": _millis(now)},
        )

    def release_listing(self, lease: ListingLease) -> bool:
        names = {"#owner": "owner", "#expires": "expires", "#token": "token", "#dirty": "dirty"}
        if self._update_listing(
            "REMOVE #owner, #expires",
            "#token = :token AND attribute_not_exists(#dirty)",
            names,
            {":token": lease.token},
        ):
            return False
        # Marked, or lost to another holder, who sees the mark when it releases.
        return self._update_listing(
            "REMOVE #dirty",
            "#token = :token AND attribute_exists(#dirty)",
            {"#token": "token", "#dirty": "dirty"},
            {":token": lease.token},
        )

    def _update_listing(self, update: str, condition: str, names: dict[str, str], values: dict[str, Any]) -> bool:
        with translated(f"change the listing lease in {self._table}"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_LISTING,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=packed(values),
                )
            except ClientError as error:
                if code_of(error) == _REFUSED:
                    return False
                raise
        return True

    # ── runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def record_run(self, lease: ListingLease, run: RunRecord) -> None:
        item = packed(
            {
                "pk": "run",
                "sk": run.id,
                "live": run.id,
                "execution": run.execution,
                "started": run.started.isoformat(),
                "expires": run.expires.isoformat(),
                "batches": run.batches,
                "files": run.files,
                "bytes": run.bytes,
                "datasets": dict(run.datasets),
                "sizes": dict(run.sizes),
                "status": run.status.value,
                "expires_at": int((run.expires + KEPT).timestamp()),
                **({"claim": run.claim.to_json()} if run.claim else {}),
            }
        )
        with translated(f"lease the files of run {run.id} in {self._table}"):
            try:
                self._client.transact_write_items(
                    TransactItems=[
                        {
                            "ConditionCheck": {
                                "TableName": self._table,
                                "Key": _LISTING,
                                "ConditionExpression": "#token = :token AND #owner = :owner",
                                "ExpressionAttributeNames": {"#token": "token", "#owner": "owner"},
                                "ExpressionAttributeValues": packed({":token": lease.token, ":owner": lease.owner}),
                            }
                        },
                        {"Put": {"TableName": self._table, "Item": item}},
                    ]
                )
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                raise TransientError(
                    f"Run {run.id} was not recorded: another listing holds the lease in {self._table} by now, and "
                    "plans the same files. There is nothing to do."
                ) from error

    def live_runs(self) -> Sequence[RunRecord]:
        return [_run(item) for item in self._items.live("run")]

    def end_run(self, run: str, status: RunStatus, ended: datetime) -> None:
        with translated(f"end run {run} in {self._table}"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": "run"}, "sk": {"S": run}},
                    UpdateExpression="SET #status = :status, #ended = :ended REMOVE #live",
                    ConditionExpression="attribute_exists(#live)",
                    ExpressionAttributeNames={"#status": "status", "#ended": "ended", "#live": "live"},
                    ExpressionAttributeValues=packed({":status": status.value, ":ended": ended.isoformat()}),
                )
            except ClientError as error:
                if code_of(error) != _REFUSED:
                    raise

    def runs(self, limit: int) -> Sequence[RunRecord]:
        found: list[RunRecord] = []
        for item in self._items.query("run", ScanIndexForward=False, Limit=limit):
            found.append(_run(item))
            if len(found) == limit:
                break
        return found

    # ── arrivals that were put back ─────────────────────────────────────────────────────────────────────────────────

    def waiting(self) -> Mapping[str, Attempt]:
        return {item["sk"]: _attempt(item) for item in self._items.live("arrival")}

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Attempt]:
        """One query where few wait, which is the rule; else one for each, which costs no more than those that wait."""
        wanted = dict.fromkeys(arrivals)
        if not wanted:
            return {}
        items, all_of_them = self._items.first_live("arrival", max(_FEW, len(wanted)))
        if not all_of_them:
            items = [item for arrival in wanted if (item := self._items.live_one("arrival", arrival))]
        return {item["sk"]: _attempt(item) for item in items if item["sk"] in wanted}

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        self._items.write(
            [
                {
                    "PutRequest": {
                        "Item": packed(
                            {
                                "pk": "arrival",
                                "sk": attempt.arrival,
                                "live": attempt.arrival,
                                "attempts": attempt.attempts,
                                "not_before": attempt.not_before.isoformat(),
                                "reason": attempt.reason,
                                "run": attempt.run,
                                "crashes": attempt.crashes,
                                "unsettled": attempt.unsettled,
                                "expires_at": int((attempt.not_before + KEPT).timestamp()),
                            }
                        )
                    }
                }
                for attempt in attempts
            ]
        )

    def forget(self, arrivals: Sequence[str]) -> None:
        # A delete of what isn't there is billed as a write.
        self._items.write(
            [
                {"DeleteRequest": {"Key": packed({"pk": "arrival", "sk": arrival})}}
                for arrival in self.attempts_of(arrivals)
            ]
        )

    # ── circuit breakers ────────────────────────────────────────────────────────────────────────────────────────────

    def breakers(self) -> Mapping[str, Breaker]:
        return {item["sk"]: _breaker(item) for item in self._items.live("breaker")}

    def open_breaker(self, breaker: Breaker) -> None:
        item = {
            "pk": "breaker",
            "sk": breaker.destination,
            "live": breaker.destination,
            "opened": breaker.opened.isoformat(),
            "probe_at": breaker.probe_at.isoformat(),
            "failures": breaker.failures,
            "reason": breaker.reason,
            "probe": breaker.probe,
            "expires_at": int((breaker.probe_at + KEPT).timestamp()),
        }
        self._items.write([{"PutRequest": {"Item": packed(item)}}])

    def close_breaker(self, destination: str) -> None:
        self._items.write([{"DeleteRequest": {"Key": packed({"pk": "breaker", "sk": destination})}}])

    # ── memos ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def memos(self) -> Mapping[str, Memo]:
        return {item["sk"]: _memo(item) for item in self._items.live("memo")}

    def keep_memo(self, memo: Memo) -> bool:
        key = {"pk": "memo", "sk": memo.name, "live": memo.name}
        with translated(f"keep the memo of {memo.name} in {self._table}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=packed({**key, "text": memo.text, "version": memo.version + 1}),
                    # With 0 also in the place of an item that someone gave a version which is no number.
                    ConditionExpression="#version = :version" if memo.version else "NOT attribute_type(#version, :n)",
                    ExpressionAttributeNames={"#version": "version"},
                    ExpressionAttributeValues=packed({":version": memo.version} if memo.version else {":n": "N"}),
                )
            except ClientError as error:
                if code_of(error) == _REFUSED:
                    return False
                raise
        return True

    # ── kickoffs ────────────────────────────────────────────────────────────────────────────────────────────────────

    def claim_kick_off(self, run: str, dataset: str) -> bool:
        with translated(f"look up the kickoff of {dataset} by run {run} in {self._table}"):
            found = self._client.get_item(TableName=self._table, Key=_kick_off(run, dataset), ConsistentRead=True)
        return "Item" not in found

    def finish_kick_off(self, run: str, dataset: str, reference: str) -> None:
        expires_at = int((datetime.now(UTC) + KEPT).timestamp())
        with translated(f"record the kickoff of {dataset} by run {run} in {self._table}"):
            self._client.put_item(
                TableName=self._table,
                Item={**_kick_off(run, dataset), **packed({"reference": reference, "expires_at": expires_at})},
            )


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _kick_off(run: str, dataset: str) -> dict[str, Any]:
    return {"pk": {"S": "kick_off"}, "sk": {"S": f"{run}#{dataset}"}}


def _run(item: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        id=item["sk"],
        execution=item["execution"],
        started=datetime.fromisoformat(item["started"]),
        expires=datetime.fromisoformat(item["expires"]),
        batches=int(item["batches"]),
        files=int(item["files"]),
        bytes=int(item["bytes"]),
        datasets={name: int(files) for name, files in item["datasets"].items()},
        sizes={name: int(size) for name, size in item.get("sizes", {}).items()},
        live="live" in item,
        status=RunStatus(item["status"]),
        ended=datetime.fromisoformat(item["ended"]) if "ended" in item else None,
        claim=Claim.from_json(item["claim"]) if "claim" in item else None,
    )


def _breaker(item: Mapping[str, Any]) -> Breaker:
    return Breaker(
        destination=item["sk"],
        opened=datetime.fromisoformat(item["opened"]),
        probe_at=datetime.fromisoformat(item["probe_at"]),
        failures=int(item["failures"]),
        reason=item["reason"],
        probe=item["probe"],
    )


def _memo(item: Mapping[str, Any]) -> Memo:
    """Of an item that someone changed by hand to make no sense: no text, and the version by which it is replaced."""
    text, version = item.get("text"), item.get("version")
    return Memo(item["sk"], text if isinstance(text, str) else "", int(version) if isinstance(version, Decimal) else 0)


def _attempt(item: Mapping[str, Any]) -> Attempt:
    return Attempt(
        arrival=item["sk"],
        attempts=int(item["attempts"]),
        not_before=datetime.fromisoformat(item["not_before"]),
        reason=item["reason"],
        run=item["run"],
        crashes=int(item.get("crashes", 0)),
        unsettled=int(item.get("unsettled", 0)),
    )
