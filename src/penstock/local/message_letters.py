"""Dead letters of the messages' queue: each is as it was sent; what is wrong with it is found as the function does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock.local.deployment import Deployment
from penstock.local.stream_letters import Held
from penstock.model.messages import Message, line_of

QUEUE = "messages"

Told = tuple[str, str, str, Callable[[], Any], Callable[[], Sequence[Held]]]
"""Source, why, then, what sends it again, and what it holds."""


def read_letter(deployment: Deployment, message: Mapping[str, Any]) -> Told:
    """One that could not be packed is sent again with its `event_id`, which would else be the new message's own."""
    name, body, attributes = str(message["MessageId"]), str(message["Body"]), message.get("Attributes", {})
    try:
        again = line_of(Message(name, body, datetime.fromtimestamp(0, UTC))).decode()
        why = "it could not be packed: PackMessages' log says why"
    except ValueError as refused:
        again, why = body, f"it {refused}"
    wanted = {"QueueUrl": deployment.outputs["MessagesQueueUrl"], "MessageBody": again}
    if group := attributes.get("MessageGroupId"):
        wanted |= {"MessageGroupId": group, "MessageDeduplicationId": name}

    def send() -> None:
        deployment.client("sqs").send_message(**wanted)

    return "the messages' queue", why, "send it again", send, lambda: [Held("", body.encode())]
