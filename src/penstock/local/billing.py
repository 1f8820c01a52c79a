"""What Lambda would bill: the REPORT line that it writes after each call, here as on AWS. And what calls tell."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.model.errors import PermanentError

_REPORT = re.compile(r"^REPORT .*Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")
_AT_ONCE = 10_000
"""Events that FilterLogEvents tells in a page at most."""
AT_DEPLOY = "apply_datasets"
"""Is called by a deployment, and never by a file."""


@dataclass(frozen=True)
class Call:
    """One call of a function (`list_incoming`, …), and what it is billed: memory times time."""

    function: str
    seconds: float
    memory_gb: float

    @property
    def gb_seconds(self) -> float:
        return self.seconds * self.memory_gb


@dataclass(frozen=True)
class Told:
    """What a call logs as it ends: its worker's peak of memory until then, and its own processor time."""

    function: str
    peak_mib: int
    cpu_ms: int


def billed_calls(logs: Any, stack: str) -> list[Call]:
    """Every call of the stack's functions that is in their logs, but for those that deployments make."""
    return [call for call in _calls(logs, stack) if call.function != AT_DEPLOY]


def told_by_calls(logs: Any, stack: str) -> Iterator[Told]:
    """Of every call of the stack's functions that ended well."""
    for function, message in _messages(logs, stack, '"peak_mib"'):
        if '"peak_mib"' in message:
            line = json.loads(message)
            yield Told(function, line["peak_mib"], line["cpu_ms"])


def lines_by_calls(logs: Any, stack: str) -> Counter[str]:
    """What process_stream says that it was given: `records` with `events`, `repeats` and `poison`; and its `writes`."""
    told: Counter[str] = Counter()
    for function, message in _messages(logs, stack, '"poison"'):
        if function == "process_stream" and '"poison"' in message:
            line = json.loads(message)
            told.update({name: line[name] for name in ("records", "events", "repeats", "poison", "writes")})
    return told


def _calls(logs: Any, stack: str) -> Iterator[Call]:
    for function, message in _messages(logs, stack, '"REPORT RequestId"'):
        if found := _REPORT.match(message):
            yield Call(function, int(found[1]) / 1000, int(found[2]) / 1024)


def _messages(logs: Any, stack: str, pattern: str) -> Iterator[tuple[str, str]]:
    """Each with the function that wrote it. The embedded service may give more than what has the pattern."""
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{stack}/")
    for name in [group["logGroupName"] for page in groups for group in page["logGroups"]]:
        for message in _told(logs, name, pattern):
            yield name.rpartition("/")[2], message


def _told(logs: Any, group: str, pattern: str) -> Iterator[str]:
    """The embedded service tells the first 10,000 and no token for more, so more is asked for by time.

    Raises PermanentError where that many are of one millisecond: a bill without the others would be too low.
    """
    paginator = logs.get_paginator("filter_log_events")
    since, before = 0, Counter[tuple[str, int, str]]()
    while True:
        pages = paginator.paginate(logGroupName=group, filterPattern=pattern, startTime=since)
        found = [event for page in pages for event in page["events"]]
        # By what they are: those of Lambda itself have no eventId there.
        each = Counter((event["logStreamName"], event["timestamp"], event["message"]) for event in found)
        if not (new := each - before):
            break
        yield from (message for _, _, message in new.elements())
        since, before = max(moment for _, moment, _ in new), each
    if len(found) == _AT_ONCE:
        raise PermanentError(
            f"{group} has {_AT_ONCE:,} lines of one millisecond, and maybe more: what calls cost is not known"
        )
