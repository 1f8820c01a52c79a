"""What Lambda would bill: the REPORT line that it writes after each call, here as on AWS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_REPORT = re.compile(r"^REPORT .*Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")
AT_DEPLOY = "apply_datasets"
"""Is called by a deployment, and never by a file."""


@dataclass(frozen=True)
class Call:
    """One call of a function (`list_incoming`, …), and what it is billed: memory times time."""

    function: str
    gb_seconds: float


def billed_calls(logs: Any, stack: str) -> list[Call]:
    """Every call of the stack's functions that is in their logs, but for those that deployments make."""
    return [call for call in _calls(logs, stack) if call.function != AT_DEPLOY]


def _calls(logs: Any, stack: str) -> Iterator[Call]:
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{stack}/")
    for name in [group["logGroupName"] for page in groups for group in page["logGroups"]]:
        # The pattern is a filter of the service's; the embedded one may give more than was asked for.
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name, filterPattern='"REPORT RequestId"')
        for event in (event for page in pages for event in page["events"]):
            if found := _REPORT.match(event["message"]):
                yield Call(name.rpartition("/")[2], int(found[1]) / 1000 * int(found[2]) / 1024)
