"""One DynamoDB table: paged consistent reads, batched writes, and Python values for its typed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from penstock.adapters.aws_errors import translated
from penstock.model.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_WRITES = 25
"""BatchWriteItem's limit."""
_STOP = stop_after_attempt(7)
_WAIT = wait_random_exponential(multiplier=0.05)
"""Of what a batch leaves undone the SDK sends nothing again: here, within three seconds in all."""


class DynamoTable:
    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._table = name

    def live(self, pk: str) -> Iterator[dict[str, Any]]:
        return self.query(pk, IndexName="live")

    def first_live(self, pk: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Not more than so many, and whether those are all."""
        with translated(f"read the first {pk} items of {self._table}"):
            page = self._client.query(
                TableName=self._table,
                IndexName="live",
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                Limit=limit,
            )
        return [_values(item) for item in page["Items"]], "LastEvaluatedKey" not in page

    def live_one(self, pk: str, sk: str) -> dict[str, Any] | None:
        with translated(f"read one of the {pk} items of {self._table}"):
            page = self._client.query(
                TableName=self._table,
                IndexName="live",
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND #live = :sk",
                ExpressionAttributeNames={"#live": "live"},
                ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk}},
            )
        return next(map(_values, page["Items"]), None)

    def query(self, pk: str, **how: Any) -> Iterator[dict[str, Any]]:
        pages = iter(
            self._client.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                **how,
            )
        )
        while True:
            with translated(f"read the {pk} items of {self._table}"):
                page = next(pages, None)
            if page is None:
                return
            for item in page["Items"]:
                yield _values(item)

    def write(self, requests: Sequence[Any]) -> None:
        for first in range(0, len(requests), _WRITES):
            self._write(requests[first : first + _WRITES])

    def _write(self, left: Sequence[Any]) -> None:
        """BatchWriteItem answers 200 and names what it left undone: that is sent again, and not for ever."""
        for attempt in Retrying(retry=retry_if_exception_type(_UndoneError), stop=_STOP, wait=_WAIT, reraise=True):
            with attempt:
                with translated(f"write {len(left)} items of {self._table}"):
                    answer = self._client.batch_write_item(RequestItems={self._table: left})
                left = answer.get("UnprocessedItems", {}).get(self._table, [])
                if left:
                    raise _UndoneError(f"{self._table} is throttled: {len(left)} items are not written. Try again.")


class _UndoneError(TransientError):
    """Of a batch, something."""


_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}


def packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """As DynamoDB wants them: `{"n": 1}` becomes `{"n": {"N": "1"}}`."""
    return {name: _SERIALIZER.serialize(value) for name, value in values.items()}
