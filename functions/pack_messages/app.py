"""Writes a window of a queue's messages into one object below incoming/, and acknowledges them when it is there.

A batch of SQS → `{"batchItemFailures": […]}`: the messages that are no events. They come again, and end in the queue's
dead letters.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.pack_messages import pack_messages
from penstock.handler import Answer, Context, Event, lambda_handler, logger
from penstock.message_batch import answer, messages_of


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    packed = pack_messages(wiring.store(), wiring.messages_prefix(), messages_of(event))
    for message, reason in packed.refused.items():
        logger.warning("a message is no event", extra={"message_id": message, "reason": reason})
    if packed.key:
        logger.info("packed", extra={"key": packed.key, "messages": packed.messages})
    return answer(packed.refused)
