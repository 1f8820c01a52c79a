"""`ports.watches.Watches` in the table of counts: pk `rate`, sk the rate's name, with the watch as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of, translated
from penstock.adapters.dynamodb_table import packed
from penstock.model.episodes import Episode, Notice, Watch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoWatches:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def read(self, rate: str) -> Watch:
        with translated(f"read what is known of rate {rate}"):
            found = self._client.get_item(
                TableName=self._table, Key=packed({"pk": "rate", "sk": rate}), ConsistentRead=True
            )
        return (
            _unpacked(found["Item"]["watch"]["S"], int(found["Item"]["version"]["N"])) if "Item" in found else Watch()
        )

    def write(self, rate: str, watch: Watch) -> bool:
        item = {"pk": "rate", "sk": rate, "watch": _packed(watch), "version": watch.version + 1}
        how: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if watch.version:
            values = packed({":version": watch.version})
            how = {"ConditionExpression": "version = :version", "ExpressionAttributeValues": values}
        with translated(f"write what is known of rate {rate}"):
            try:
                self._client.put_item(TableName=self._table, Item=packed(item), **how)
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                return False
        return True


def _packed(watch: Watch) -> str:
    return json.dumps(asdict(watch), default=datetime.isoformat)


def _unpacked(text: str, version: int) -> Watch:
    found = json.loads(text)
    return Watch(
        judged=_time(found["judged"]),
        episode=Episode(**found["episode"]) if found["episode"] else None,
        untold=tuple(Notice(**notice) for notice in found["untold"]),
        telling_until=_time(found["telling_until"]),
        version=version,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
