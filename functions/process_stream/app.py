"""Counts a batch of a stream's shard by type and minute; lines that are no events go to the stream's dead letters.

An event source mapping's batch → `{"batchItemFailures": []}`, or with the record from which it has to come again.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from penstock import wiring
from penstock.flows.process_stream import process_stream
from penstock.handler import Answer, Context, Event, lambda_handler, logger
from penstock.stream_batch import answer, batch_of


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    known, batch = wiring.streaming(), batch_of(event)
    logger.append_keys(shard=batch.shard)
    done = process_stream(
        wiring.counts(),
        partial(wiring.poison_queue().put_aside, batch.stream, batch.shard),
        batch.shard,
        batch.records,
        known.fields,
        wiring.clock().now(),
        known.window,
    )
    if done.trouble:
        logger.warning(done.trouble, extra={"again_from": done.again})
    elif done.counted:
        logger.info("counted", extra={"records": len(batch.records), **asdict(done.counted)})
    return answer(done.again)
