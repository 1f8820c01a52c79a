"""`ports.watches.Notices` by a topic of SNS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapters.aws_errors import translated
from penstock.model.episodes import Notice

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_LONGEST_SUBJECT = 100
"""SNS refuses a longer one."""


class SnsNotices:
    def __init__(self, client: SNSClient, topic: str) -> None:
        self._client = client
        self._topic = topic

    def tell(self, notice: Notice) -> None:
        """With the episode and what of it as attributes, by which a subscription can filter and a repeat is told."""
        with translated(f"publish to {self._topic}"):
            self._client.publish(
                TopicArn=self._topic,
                Subject=notice.subject[:_LONGEST_SUBJECT],
                Message=notice.text,
                MessageAttributes={
                    "episode": {"DataType": "String", "StringValue": notice.episode},
                    "what": {"DataType": "String", "StringValue": notice.what},
                },
            )
