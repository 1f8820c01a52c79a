"""What Lambda's event source mapping hands over of an SQS queue, and the answer that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from penstock.model.errors import PermanentError
from penstock.model.messages import Message


def messages_of(event: Mapping[str, Any]) -> list[Message]:
    """Raises PermanentError for what is no batch of a queue."""
    try:
        return [_message(record) for record in event["Records"]]
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"the event is no batch of an SQS queue ({type(error).__name__}). Is something else mapped to it?"
        ) from None


def answer(again: Iterable[str]) -> dict[str, Any]:
    """`again` are the ids of messages that stay in the queue; the mapping deletes the others."""
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in again]}


def _message(record: Mapping[str, Any]) -> Message:
    attributes = record["attributes"]
    sent = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
    return Message(record["messageId"], record["body"], sent, int(attributes.get("SequenceNumber", 0)))
