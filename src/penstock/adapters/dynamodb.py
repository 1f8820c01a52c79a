"""The lease table: runs, put-back arrivals, the listing lease, breakers, memos, kickoffs (items: `dynamodb_items`).

The local secondary index `live` (pk, live) holds only items with that attribute and can be read consistently, so
finding what is live costs nothing for what is not. A run is one item whatever it holds: the table costs next to nothing
per file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, translated
from penstock.adapters.dynamodb_items import (
    KEPT,
    attempt_item,
    attempt_of,
    breaker_item,
    breaker_of,
    kick_off_key,
    memo_item,
    memo_of,
    run_item,
    run_of,
)
from penstock.adapters.dynamodb_table import DynamoTable, packed
from penstock.model.breakers import Breaker
from penstock.model.errors import TransientError
from penstock.ports import Attempt, ListingLease, Memo, RunRecord, RunStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FEW = 100
"""Arrivals that wait, which are read whether they are asked for or not: 25 KB at most, as a rule."""
_LISTING = {"pk": {"S": "listing"}, "sk": {"S": "listing"}}
_REFUSED = "ConditionalCheckFailedException"
_CONFLICT = "ConditionalCheckFailed"
"""The same, of one action of a transaction."""


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
                        {"Put": {"TableName": self._table, "Item": run_item(run)}},
                    ]
                )
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                raise TransientError(f"Run {run.id} was not recorded: {self._why_cancelled(error)}") from error

    def _why_cancelled(self, error: ClientError) -> str:
        found = (str(reason.get("Code")) for reason in error.response.get("CancellationReasons", []))
        reasons = [reason for reason in found if reason != "None"]
        if _CONFLICT in reasons or not reasons:
            return (
                f"another listing holds the lease in {self._table} by now, and plans the same files. There is nothing "
                "to do."
            )
        # Somebody leaves a mark on the lease at this very moment, or the table is throttled.
        return f"{self._table} cancelled it ({', '.join(reasons)}). The next listing plans its files."

    def live_runs(self) -> Sequence[RunRecord]:
        return [run_of(item) for item in self._items.live("run")]

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
            found.append(run_of(item))
            if len(found) == limit:
                break
        return found

    # ── arrivals that were put back ─────────────────────────────────────────────────────────────────────────────────

    def waiting(self) -> Mapping[str, Attempt]:
        return {item["sk"]: attempt_of(item) for item in self._items.live("arrival")}

    def attempts_of(self, arrivals: Sequence[str]) -> Mapping[str, Attempt]:
        """One query where few wait, which is the rule; else one for each, which costs no more than those that wait."""
        wanted = dict.fromkeys(arrivals)
        if not wanted:
            return {}
        items, all_of_them = self._items.first_live("arrival", max(_FEW, len(wanted)))
        if not all_of_them:
            items = [item for arrival in wanted if (item := self._items.live_one("arrival", arrival))]
        return {item["sk"]: attempt_of(item) for item in items if item["sk"] in wanted}

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        self._items.write([{"PutRequest": {"Item": attempt_item(attempt)}} for attempt in attempts])

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
        return {item["sk"]: breaker_of(item) for item in self._items.live("breaker")}

    def open_breaker(self, breaker: Breaker) -> None:
        self._items.write([{"PutRequest": {"Item": breaker_item(breaker)}}])

    def close_breaker(self, destination: str) -> None:
        self._items.write([{"DeleteRequest": {"Key": packed({"pk": "breaker", "sk": destination})}}])

    # ── memos ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def memos(self) -> Mapping[str, Memo]:
        return {item["sk"]: memo_of(item) for item in self._items.live("memo")}

    def keep_memo(self, memo: Memo) -> bool:
        with translated(f"keep the memo of {memo.name} in {self._table}"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=memo_item(memo),
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
            found = self._client.get_item(TableName=self._table, Key=kick_off_key(run, dataset), ConsistentRead=True)
        return "Item" not in found

    def finish_kick_off(self, run: str, dataset: str, reference: str) -> None:
        expires_at = int((datetime.now(UTC) + KEPT).timestamp())
        with translated(f"record the kickoff of {dataset} by run {run} in {self._table}"):
            self._client.put_item(
                TableName=self._table,
                Item={**kick_off_key(run, dataset), **packed({"reference": reference, "expires_at": expires_at})},
            )


def _millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
