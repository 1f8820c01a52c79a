"""`ports.counts.Counts` in DynamoDB.

| pk              | sk            | what it is                                                     |
|-----------------|---------------|----------------------------------------------------------------|
| watermark#shard | watermark     | up to where the shard is counted                               |
| count#type      | minute#shard  | how many events of the type the shard had in the minute        |
| type            | type          | that there are counts of the type                              |
| seen#id         | seen          | that an event was counted, until `expires_at`                  |

`expires_at` is DynamoDB's TTL, which deletes late: an id that is over its time counts as new all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, translated
from penstock.adapters.dynamodb_table import packed
from penstock.model.errors import TransientError
from penstock.model.stream_events import BEGINNING, Position
from penstock.ports import Clock
from penstock.ports.counts import MOST_TYPES, OTHER, Tallies

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MINUTE = "%Y-%m-%dT%H:%MZ"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_TYPES_ASKED_EVERY = timedelta(minutes=1)


class DynamoCounts:
    """`kept` is how long counts stay."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        clock: Clock,
        kept: timedelta = timedelta(days=90),
        most_types: int = MOST_TYPES,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._kept = kept
        self._most_types = most_types
        self._known: dict[str, datetime] = {}
        """Types that this worker has written, and when."""
        self._there: set[str] = set()
        """Types that the table had when it was last asked, and since."""
        self._asked = _LONG_AGO

    def watermark(self, shard: str) -> Position:
        with translated(f"read how far shard {shard} is counted"):
            found = self._client.get_item(TableName=self._table, Key=_watermark(shard), ConsistentRead=True)
        return Position.parse(found["Item"]["upto"]["S"]) if "Item" in found else BEGINNING

    def add(
        self,
        shard: str,
        after: Position,
        upto: Position,
        tallies: Tallies,
        ids: Collection[str],
        remembered: datetime | None,
    ) -> frozenset[str]:
        counted_as = self._write_types({kind for kind, _ in tallies})
        merged: Counter[tuple[str, datetime]] = Counter()
        for (kind, minute), more in tallies.items():
            merged[counted_as[kind], minute] += more
        names = list(ids)
        actions = [self._move(shard, after, upto), *(self._remember(name, remembered) for name in names)]
        actions += [self._tally(shard, kind, minute, more) for (kind, minute), more in merged.items()]
        with translated(f"count events of shard {shard}"):
            try:
                self._client.transact_write_items(TransactItems=actions)
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                return self._refused(error, shard, after, names)
        return frozenset()

    def expect(self, kind: str) -> None:
        now = self._clock.now()
        if now - self._known.get(kind, _LONG_AGO) > self._kept / 10:
            self._write_type(kind, now)

    def types(self) -> Sequence[str]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=packed({":pk": "type"}),
        )
        with translated("read the types of events"):
            return [item["sk"]["S"] for page in pages for item in page["Items"]]

    def read(self, kind: str, since: datetime, until: datetime) -> Mapping[datetime, int]:
        found: Counter[datetime] = Counter()
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :until",
            ExpressionAttributeValues=packed(
                # `#` stands before any shard's name, so that `until` itself is out.
                {":pk": f"count#{kind}", ":since": f"{_text(since)}#", ":until": f"{_text(until)}#"}
            ),
        )
        with translated(f"read the counts of {kind}"):
            for page in pages:
                for item in page["Items"]:
                    minute = datetime.strptime(item["sk"]["S"].partition("#")[0], _MINUTE).replace(tzinfo=UTC)
                    found[minute] += int(item["events"]["N"])
        return dict(sorted(found.items()))

    def _write_types(self, kinds: set[str]) -> Mapping[str, str]:
        """Before anything of them is counted, and again now and then, so that they stay as long as their counts.

        As what each is counted: itself, or `OTHER` where the table is full of types.
        """
        now = self._clock.now()
        new = {kind for kind in kinds if now - self._known.get(kind, _LONG_AGO) > self._kept / 10}
        if new and now - self._asked > _TYPES_ASKED_EVERY:
            self._there, self._asked = set(self.types()), now
        for kind in sorted(new):
            if kind in self._there or len(self._there) < self._most_types:
                self._write_type(kind, now)
            else:
                self._known.pop(kind, None)
        if not kinds <= self._known.keys() and now - self._known.get(OTHER, _LONG_AGO) > self._kept / 10:
            self._write_type(OTHER, now)
        return {kind: kind if kind in self._known else OTHER for kind in kinds}

    def _write_type(self, kind: str, now: datetime) -> None:
        expires = int((now + 2 * self._kept).timestamp())
        with translated(f"note that there are events of type {kind}"):
            self._client.put_item(TableName=self._table, Item=packed({"pk": "type", "sk": kind, "expires_at": expires}))
        self._known[kind] = now
        self._there.add(kind)

    def _move(self, shard: str, after: Position, upto: Position) -> Any:
        """The condition is what makes counting twice impossible, by a replay and by two workers alike."""
        there = "attribute_not_exists(upto)" if after == BEGINNING else "upto = :after"
        values = {":upto": str(upto)} | ({} if after == BEGINNING else {":after": str(after)})
        return {
            "Update": {
                "TableName": self._table,
                "Key": _watermark(shard),
                "UpdateExpression": "SET upto = :upto",
                "ConditionExpression": there,
                "ExpressionAttributeValues": packed(values),
            }
        }

    def _remember(self, name: str, until: datetime | None) -> Any:
        assert until is not None  # noqa: S101 - Ids come with the time for which they are remembered.
        return {
            "Put": {
                "TableName": self._table,
                "Item": packed({"pk": f"seen#{name}", "sk": "seen", "expires_at": int(until.timestamp())}),
                "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
                "ExpressionAttributeValues": packed({":now": int(self._clock.now().timestamp())}),
            }
        }

    def _tally(self, shard: str, kind: str, minute: datetime, more: int) -> Any:
        expires = int((self._clock.now() + self._kept).timestamp())
        return {
            "Update": {
                "TableName": self._table,
                "Key": packed({"pk": f"count#{kind}", "sk": f"{_text(minute)}#{shard}"}),
                "UpdateExpression": "SET expires_at = :expires ADD events :more",
                "ExpressionAttributeValues": packed({":expires": expires, ":more": more}),
            }
        }

    def _refused(self, error: ClientError, shard: str, after: Position, names: list[str]) -> frozenset[str]:
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        if reasons and reasons[0] == "ConditionalCheckFailed":
            raise TransientError(f"shard {shard} is not counted up to {after} any more: another worker has gone on")
        known = frozenset(
            name for name, code in zip(names, reasons[1:], strict=False) if code == "ConditionalCheckFailed"
        )
        if known:
            return known
        raise TransientError(f"DynamoDB cancelled a transaction of shard {shard}: {sorted(set(map(str, reasons)))}")


def _watermark(shard: str) -> dict[str, Any]:
    """Shards have partitions of their own: each transaction writes one of these."""
    return packed({"pk": f"watermark#{shard}", "sk": "watermark"})


def _text(minute: datetime) -> str:
    """Of four digits for every year, which strftime has not."""
    return minute.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="minutes") + "Z"
