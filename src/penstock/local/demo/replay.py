"""Replays the demo's events, much faster than they were, and looks on: at the counts, and at the alarm on the rate.

The stream and what counts it are no faster than ever. So the rates are looked at as of what is counted: by the events
that the stack's rule would have sent by then.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.adapters.clock import SystemClock
from penstock.adapters.dynamodb_counts import DynamoCounts
from penstock.local.demo.departures import LATEST, Sending
from penstock.local.demo.drive import EVERY, MOST
from penstock.local.deployment import Deployment
from penstock.model.errors import PermanentError
from penstock.producer import Counters, Producer

_AGGREGATE = 5_000
"""Bytes of a carrier's events that share a record: one record of a key is on its way at a time."""
_TO_HEAR = 10.0
"""Seconds within which a message that was told has to come."""

ByType = Mapping[str, Mapping[datetime, int]]
"""Events by type and minute."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the topic, and the replay's time when it was told."""

    at: datetime
    subject: str
    text: str
    what: str
    episode: str


@dataclass(frozen=True)
class Look:
    """What is seen at one moment of the replay. `sent` and `counted` are events, each once; `counted` is the older."""

    now: datetime
    sent: Mapping[str, int]
    seconds: float
    speed: float
    counted: ByType
    heard: Sequence[Heard]


@dataclass
class Replayed:
    seconds: float
    lines: Counters
    """The producer's."""
    heard: Sequence[Heard]


class CountsOf:
    """The stack's counts of what is sent. What can't change any more is not read again."""

    def __init__(self, deployment: Deployment, sendings: Sequence[Sending]) -> None:
        self._counts = DynamoCounts(deployment.client("dynamodb"), deployment.outputs["CountsTable"], SystemClock())
        self.since, self._until = sendings[0].due - LATEST, sendings[-1].due + LATEST
        self._from = self.since
        self._found: dict[str, dict[datetime, int]] = {one.type: {} for one in sendings}

    def read(self) -> ByType:
        for kind, found in self._found.items():
            found.update(self._counts.read(kind, self._from, self._until))
        return self._found

    def all_sent_is_counted(self, upto: datetime) -> None:
        self._from = max(self._from, (upto - LATEST).replace(second=0, microsecond=0))


class _Sender:
    """Sends each when its time has come. `so_far` may be asked from elsewhere meanwhile."""

    def __init__(self, producer: Producer, sendings: Sequence[Sending], speed: float) -> None:
        self._producer, self._sendings, self._speed = producer, sendings, speed
        self._lock = threading.Lock()
        self._now = sendings[0].due
        self._sent: Counter[str] = Counter()
        self.stopped = threading.Event()

    def run(self) -> None:
        began, first = time.monotonic(), self._sendings[0].due
        for one in self._sendings:
            wait = began + (one.due - first).total_seconds() / self._speed - time.monotonic()
            if wait > 0 and self.stopped.wait(wait):
                return
            self._producer.put(one.event, one.type)
            with self._lock:
                self._now = one.due
                self._sent[one.type] += one.counts

    def so_far(self) -> tuple[datetime, Counter[str]]:
        """Up to when, and how many of each type."""
        with self._lock:
            return self._now, self._sent.copy()


def replay(
    deployment: Deployment,
    sendings: Sequence[Sending],
    speed: float,
    show: Callable[[Look], None],
    *,
    patience: float,
) -> Replayed:
    """Until all is counted, or nothing more for `patience` seconds after all was sent."""
    counts = CountsOf(deployment, sendings)
    waiting: deque[tuple[datetime, Counter[str]]] = deque()
    producer = Producer(deployment.outputs["StreamName"], client=deployment.client("kinesis"), aggregate=_AGGREGATE)
    sender = _Sender(producer, sendings, speed)
    with ThreadPoolExecutor(1) as pool, producer, _OnCall(deployment).listening() as on_call:
        on_call.look(counts.since)  # What is judged first is what begins after a first look.
        began = all_sent_at = time.monotonic()
        sending = pool.submit(sender.run)
        try:
            while True:
                asked = time.monotonic()
                if all_sent := sending.done():
                    sending.result()
                else:
                    all_sent_at = asked
                waiting.append(sender.so_far())
                counted = counts.read()
                if upto := counted_upto(counted, waiting):
                    counts.all_sent_is_counted(upto)
                    on_call.look(upto)
                show(Look(*sender.so_far(), time.monotonic() - began, speed, counted, on_call.heard))
                if all_sent and (not waiting or asked - all_sent_at > patience):
                    break
                # Looking takes time from the engines that it looks at: half of it at most.
                time.sleep(min(max(EVERY, time.monotonic() - asked), MOST))
        finally:
            sender.stopped.set()
    return Replayed(time.monotonic() - began, producer.counters, on_call.heard)


def counted_upto(counted: ByType, waiting: deque[tuple[datetime, Counter[str]]]) -> datetime | None:
    """The last moment up to which all that was sent is counted, of those that wait for it; they wait no more.

    A type's events have one key, so they are counted in the order in which they were sent: so many are the first ones.
    """
    upto = None
    while waiting and all(sum(counted[kind].values()) >= sent for kind, sent in waiting[0][1].items()):
        upto, _ = waiting.popleft()
    return upto


class _OnCall:
    """Has the rates looked at in place of the stack's rule, and hears what the topic tells of them."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._queue = ""
        self.heard: list[Heard] = []

    @contextmanager
    def listening(self) -> Iterator[_OnCall]:
        """A queue subscribes to the topic, as somebody on call would: to rates alone."""
        sqs, sns = self._deployment.client("sqs"), self._deployment.client("sns")
        self._queue = sqs.create_queue(QueueName=f"{self._deployment.name}-on-call")["QueueUrl"]
        topic = self._deployment.outputs["RunTopicArn"]
        arn = sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        lets_in = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [lets_in]})
        sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        subscription = sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"FilterPolicy": json.dumps({"what": [{"exists": True}]})},
        )["SubscriptionArn"]
        try:
            yield self
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
            sqs.delete_queue(QueueUrl=self._queue)

    def look(self, at: datetime) -> None:
        """As the rule has it looked every minute: a look makes up for all the minutes before it."""
        event = {
            "source": "aws.events",
            "detail-type": "Scheduled Event",
            "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        answer = self._deployment.client("lambda").invoke(
            FunctionName=self._deployment.outputs["WatchRateFunction"], Payload=json.dumps(event)
        )
        done = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise PermanentError(f"watch_rate failed: {done.get('errorMessage')}")
        self._hear(at, len(self.heard) + done["told"])

    def _hear(self, at: datetime, wanted: int) -> None:
        deadline = time.monotonic() + _TO_HEAR
        while len(self.heard) < wanted and time.monotonic() < deadline:
            answer = self._deployment.client("sqs").receive_message(
                QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=3600
            )
            for message in answer.get("Messages", []):
                told = json.loads(message["Body"])
                said = {name: attribute["Value"] for name, attribute in told["MessageAttributes"].items()}
                self.heard.append(Heard(at, told["Subject"], told["Message"], said["what"], said["episode"]))


@contextmanager
def without_the_rule(deployment: Deployment) -> Iterator[None]:
    """The rule looks as of today, by which the week is long over; while it is replayed it is asked as of then."""
    found = deployment.client("cloudformation").describe_stack_resource(
        StackName=deployment.name, LogicalResourceId="WatchRateRule"
    )
    rule = found["StackResourceDetail"]["PhysicalResourceId"]
    events = deployment.client("events")
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)
