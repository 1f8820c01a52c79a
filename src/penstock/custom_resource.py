"""Answers CloudFormation for a custom resource, once, whatever happens: an unanswered one hangs a deploy for an hour.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import urllib3

from penstock.handler import Context, logger
from penstock.model.errors import DestinationDownError

_LAST_SECONDS = 10
"""So long before the function's timeout the answer is given up on and CloudFormation told so."""

_LONGEST_REASON = 1_000
"""Bytes, and twice as many where all is escaped: an answer of more than 4,096 is refused, and the deploy hangs."""

Done = TypeVar("Done")


def answer_cloudformation(
    event: Mapping[str, Any], context: Context, physical_id: str, work: Callable[[], Mapping[str, Any]]
) -> None:
    """Does the work and answers SUCCESS with what it gives, or FAILED with its error's text. Raises nothing."""
    reply = _Reply(event, physical_id)
    timer = threading.Timer(
        max(0.0, context.get_remaining_time_in_millis() / 1000 - _LAST_SECONDS),
        reply.send,
        ("FAILED", "it took longer than the function's timeout; look at its log, then deploy again"),
    )
    timer.daemon = True
    timer.start()
    try:
        data = work()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, silence would hang the deploy.
        logger.error("the custom resource failed", extra={"error": type(error).__name__})
        reply.send("FAILED", str(error) or type(error).__name__)
    else:
        reply.send("SUCCESS", "", data)
    finally:
        timer.cancel()


def once_it_is_up(work: Callable[[], Done], seconds: float, pause: float = 5) -> Done:
    """Works again for so long while a destination is down, as one is that was made a moment ago."""
    until = time.monotonic() + seconds
    while True:
        try:
            return work()
        except DestinationDownError as down:
            if time.monotonic() >= until:
                raise
            logger.info("not up yet", extra={"reason": str(down)})
            time.sleep(pause)  # A destination tells nobody that it is up.


class _Reply:
    """One answer: the first of `send`'s calls counts, from whichever thread."""

    def __init__(self, event: Mapping[str, Any], physical_id: str) -> None:
        self._event = event
        self._physical_id = physical_id
        self._lock = threading.Lock()
        self._sent = False

    def send(self, status: str, reason: str, data: Mapping[str, Any] | None = None) -> None:
        with self._lock:
            if self._sent:
                return
            self._sent = True
        body = {
            "Status": status,
            "Reason": reason.encode(errors="replace")[:_LONGEST_REASON].decode(errors="ignore"),
            "PhysicalResourceId": self._event.get("PhysicalResourceId") or self._physical_id,
            "StackId": self._event["StackId"],
            "RequestId": self._event["RequestId"],
            "LogicalResourceId": self._event["LogicalResourceId"],
            "Data": dict(data or {}),
        }
        # The URL is signed and must not be logged; it was signed for a request without content type.
        try:
            response = urllib3.PoolManager().request(
                "PUT",
                self._event["ResponseURL"],
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": ""},
                timeout=5.0,
                retries=urllib3.Retry(
                    4, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504), allowed_methods=None
                ),
            )
            logger.info("answered CloudFormation", extra={"status": status, "http": response.status})
        except urllib3.exceptions.HTTPError as lost:
            logger.error("CloudFormation could not be answered", extra={"error": type(lost).__name__})
