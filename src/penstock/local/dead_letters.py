"""What an asynchronous edge could not deliver: reading the dead-letter queues of a stack, and sending it again.

A message is sent again before it is deleted, so a death in between doubles it and loses nothing. All that Penstock is
asked by messages (list, reconcile, tell) may be asked twice, and events are known by their ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of
from penstock.local import message_letters, stream_letters
from penstock.local.deployment import Deployment
from penstock.model.errors import PermanentError
from penstock.triggers import triggers_of

QUEUES = {
    "arrivals": "ArrivalsDeadLetterQueueUrl",
    "undelivered": "UndeliveredQueueUrl",
    stream_letters.QUEUE: "StreamDeadLetterQueueUrl",
    message_letters.QUEUE: "MessagesDeadLetterQueueUrl",
}
"""By name, the stack's output that has the queue's URL."""

_HIDDEN = 120
"""Seconds for which a message is taken from other readers: it is given back at the end, or by itself after them."""

_NO_MOVE_TASKS = frozenset(
    {
        "InvalidAction",
        "UnknownOperationException",
        "UnsupportedOperation",
        "AWS.SimpleQueueService.UnsupportedOperation",
    }
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`source` is where it came from, `why` what could not be done with it, `then` what a redrive does."""

    id: str
    queue: str
    sent: datetime
    source: str
    why: str
    then: str
    redrive: Callable[[], Any] | None
    receipt: str
    held: Callable[[], Sequence[stream_letters.Held]] | None = None
    """What of a stream it is about, read back where need be; None for letters of anything else."""
    doubt: str = ""
    """Why a redrive might count events of a stream twice."""

    def texts(self) -> list[str]:
        """What it holds, record by record, for a person to read; or why that is not there any more."""
        try:
            return [held.data.decode(errors="backslashreplace").rstrip("\n") for held in (self.held or list)()]
        except PermanentError as gone:
            return [str(gone)]

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "queue": self.queue,
            "sent": self.sent.isoformat(),
            "source": self.source,
            "why": self.why,
            "redrive": self.then if self.redrive else None,
            "instead": None if self.redrive else self.then,
            "doubt": self.doubt or None,
        }


def waiting(deployment: Deployment) -> dict[str, int]:
    """How many messages each queue holds, about."""
    sqs = deployment.client("sqs")
    found = {}
    for queue, output in QUEUES.items():
        if url := deployment.outputs.get(output):
            wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            found[queue] = sum(int(answer.get(name, 0)) for name in wanted)
    return found


def read(deployment: Deployment, most: int) -> list[DeadLetter]:
    """At most so many, the oldest first as far as SQS gives them so; each stays in its queue, visible to all."""
    found = list(_received(deployment, most))
    for letter in found:
        _give_back(deployment, letter)
    return sorted(found, key=lambda letter: letter.sent)


def redrive(
    deployment: Deployment, most: int, *, may_count_twice: bool = False
) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Those that were sent again, and those that can't be, which stay, as do those in doubt unless they may."""
    done, left = [], []
    # All are received before any is sent: one that fails again is a new letter, and not for this redrive.
    for letter in list(_received(deployment, most)):
        if letter.redrive is None:
            left.append(letter)
            continue
        if letter.doubt and not may_count_twice:
            left.append(replace(letter, then=letter.doubt, redrive=None))
            continue
        try:
            letter.redrive()
        except PermanentError as gone:
            left.append(replace(letter, then=str(gone), redrive=None))
            continue
        except ClientError as refused:  # One that AWS does not take, or not now, holds none of the others up.
            left.append(replace(letter, then=f"it was not sent again: {refused}", redrive=None))
            continue
        deployment.client("sqs").delete_message(QueueUrl=_url(deployment, letter), ReceiptHandle=letter.receipt)
        done.append(letter)
    for letter in left:
        _give_back(deployment, letter)
    return done, left


def move_arrivals(deployment: Deployment) -> int | None:
    """Has SQS move the arrivals' dead letters back; how many, about. None where the engine can't (a laptop's)."""
    sqs = deployment.client("sqs")
    url = deployment.outputs[QUEUES["arrivals"]]
    wanted = ["QueueArn", "ApproximateNumberOfMessages"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    if not int(queue["ApproximateNumberOfMessages"]):
        return 0
    try:
        sqs.start_message_move_task(SourceArn=queue["QueueArn"])
    except ClientError as error:
        if code_of(error) in _NO_MOVE_TASKS:
            return None
        raise
    return int(queue["ApproximateNumberOfMessages"])


def _received(deployment: Deployment, most: int) -> Iterator[DeadLetter]:
    sqs = deployment.client("sqs")
    seen: set[str] = set()
    for queue, output in QUEUES.items():
        url = deployment.outputs.get(output)
        empty = 0
        # SQS asks a part of its servers at a time: one empty answer does not say that there is none.
        while url and empty < 3 and len(seen) < most:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(10, most - len(seen)),
                VisibilityTimeout=_HIDDEN,
                WaitTimeSeconds=0,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
            empty = 0 if new else empty + 1
            for message in new:
                seen.add(message["MessageId"])
                yield _letter(deployment, queue, message)


def _url(deployment: Deployment, letter: DeadLetter) -> str:
    return deployment.outputs[QUEUES[letter.queue]]


def _give_back(deployment: Deployment, letter: DeadLetter) -> None:
    with suppress(ClientError):  # It comes back by itself.
        deployment.client("sqs").change_message_visibility(
            QueueUrl=_url(deployment, letter), ReceiptHandle=letter.receipt, VisibilityTimeout=0
        )


# ── what a message says of itself ───────────────────────────────────────────────────────────────────────────────────


def _letter(deployment: Deployment, queue: str, message: Mapping[str, Any]) -> DeadLetter:
    attributes = message.get("Attributes", {})
    told = {name: given.get("StringValue", "") for name, given in message.get("MessageAttributes", {}).items()}
    body: str = message["Body"]
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    document = document if isinstance(document, dict) else {}
    held, doubt = None, ""
    if queue == "arrivals":
        source, why, then, again = _of_arrivals(deployment, body)
    elif queue == message_letters.QUEUE:  # Before its body is looked at, which may say whatever its producer likes.
        source, why, then, again, held = message_letters.read_letter(deployment, message)
    elif "RULE_ARN" in told:
        source, why, then, again = _of_rule(deployment, body, told)
    elif stream_letters.is_of_stream(document):
        found = stream_letters.read_letter(deployment, document)
        source, why, then, again, held = found.source, found.why, found.then, found.redrive, found.held
        doubt = found.doubt if again else ""
    elif "functionArn" in document.get("requestContext", {}):
        source, why, then, again = _of_function(deployment, document)
    elif document.get("Type") == "Notification":
        source, why, then, again = _of_topic(deployment, document)
    else:
        source, why = "unknown: neither a rule, a function nor a topic sent it", ""
        then, again = "look at it in the SQS console, then delete it there", None
    return DeadLetter(
        id=message["MessageId"],
        queue=queue,
        sent=datetime.fromtimestamp(int(attributes.get("SentTimestamp", 0)) / 1000, UTC),
        source=source,
        why=why,
        then=then,
        redrive=again,
        receipt=message["ReceiptHandle"],
        held=held,
        doubt=doubt,
    )


_Told = tuple[str, str, str, Callable[[], Any] | None]
"""Source, why, then, and what sends it again."""


def _of_arrivals(deployment: Deployment, body: str) -> _Told:
    asked = triggers_of({"Records": [{"eventSource": "aws:sqs", "body": body}]})
    why = "each listing that it asked for failed: ListIncoming's log says why"
    return f"the arrivals queue ({', '.join(asked)})", why, "ask for a listing again", _to_arrivals(deployment, body)


def _of_rule(deployment: Deployment, body: str, told: Mapping[str, str]) -> _Told:
    target = told.get("TARGET_ARN", "")
    rule = told["RULE_ARN"].rpartition("/")[2]
    why = ": ".join(filter(None, (told.get("ERROR_CODE"), told.get("ERROR_MESSAGE"))))
    tries = told.get("RETRY_ATTEMPTS")
    why += f", after {tries} more attempts" if tries else ""
    source = f"rule {rule}, to {target.rpartition(':')[2]}"
    outputs = deployment.outputs
    if target.rpartition(":")[2] == outputs["ArrivalsQueueUrl"].rpartition("/")[2]:
        return source, why, "ask for a listing again", _to_arrivals(deployment, body)
    if target == outputs["RunTopicArn"]:
        return source, why, "publish it to the topic again", _publish(deployment, "Penstock: told late", body)
    if (function := _known_function(deployment, target)) is not None:
        return source, why, f"invoke {function} again", _invoke(deployment, function, body)
    return source, why, "its target is none of this stack's any more: delete it in the SQS console", None


def _of_function(deployment: Deployment, document: Mapping[str, Any]) -> _Told:
    context, asked = document["requestContext"], document.get("requestPayload") or {}
    arn = str(context["functionArn"])
    source = f"function {arn.split(':')[6]}"
    answer = document.get("responsePayload")
    error = answer.get("errorMessage", "") if isinstance(answer, dict) else ""
    tries = context.get("approximateInvokeCount", "?")
    why = f"{context.get('condition', 'it failed')} after {tries} invocations{': ' if error else ''}{error}"
    if "ResponseURL" in asked:
        return source, why, "CloudFormation has given it up by now: deploy again, then delete it", None
    if (function := _known_function(deployment, arn)) is not None:
        return source, why, f"invoke {function} again", _invoke(deployment, function, json.dumps(asked))
    return source, why, "the function is none of this stack's any more: delete it in the SQS console", None


def _of_topic(deployment: Deployment, document: Mapping[str, Any]) -> _Told:
    source, why = f"topic {str(document.get('TopicArn')).rpartition(':')[2]}", "a subscriber did not take it"
    if document.get("TopicArn") != deployment.outputs["RunTopicArn"]:
        return source, why, "it is of another stack's topic: delete it in the SQS console", None
    again = _publish(deployment, str(document.get("Subject") or "Penstock"), str(document.get("Message", "")))
    return source, why, "publish it again, to all subscribers", again


def _known_function(deployment: Deployment, arn: str) -> str | None:
    """The function's name where it is one that this stack invokes asynchronously and that may be invoked again."""
    name = arn.split(":")[6] if arn.startswith("arn:") and ":function:" in arn else ""
    again = {deployment.outputs.get(output) for output in ("ReconcileFunction", "WatchRateFunction")}
    return name if name and name in again else None


def _to_arrivals(deployment: Deployment, body: str) -> Callable[[], Any]:
    url = deployment.outputs["ArrivalsQueueUrl"]
    return lambda: deployment.client("sqs").send_message(QueueUrl=url, MessageBody=body)


def _publish(deployment: Deployment, subject: str, message: str) -> Callable[[], Any]:
    topic = deployment.outputs["RunTopicArn"]
    return lambda: deployment.client("sns").publish(TopicArn=topic, Subject=subject[:100], Message=message)


def _invoke(deployment: Deployment, function: str, payload: str) -> Callable[[], Any]:
    return lambda: deployment.client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload=payload.encode()
    )
