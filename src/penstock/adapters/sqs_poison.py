"""Lines of a stream that are no events, in its dead-letter queue: why, where they stood, and what they hold."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.adapters.aws_errors import of_code, translated
from penstock.model.stream_events import LONGEST_RAW, Poison

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

KIND = "poison line"
"""What a letter says it is, so that it is told from the mapping's own."""

_ENTRIES = 10
"""docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""


class SqsPoison:
    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def put_aside(self, stream: str, shard: str, lines: Sequence[Poison]) -> None:
        """Returns when all are in the queue; after an error some may be, and come again with the others."""
        with translated(f"put aside {len(lines)} lines of shard {shard}"):
            for start in range(0, len(lines), _ENTRIES):
                some = lines[start : start + _ENTRIES]
                answer = self._client.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": str(n), "MessageBody": _letter(stream, shard, one)} for n, one in enumerate(some)],
                )
                for failed in answer.get("Failed", []):
                    doing = f"put aside {len(some)} lines of shard {shard}"
                    # The sender's fault never heals by itself; SQS's own does.
                    status = 400 if failed["SenderFault"] else 500
                    raise of_code(failed["Code"], failed.get("Message", ""), doing, status)


def _letter(stream: str, shard: str, line: Poison) -> str:
    raw = b64encode(line.raw).decode() if len(line.raw) <= LONGEST_RAW else None
    return json.dumps(  # In ASCII: a key may hold characters that SQS takes in no message.
        {
            "penstock": KIND,
            "stream": stream,
            "shard": shard,
            "sequence": line.sequence,
            "line": line.line,
            "key": line.key,
            "why": line.reason,
            "raw": raw,
        }
    )
