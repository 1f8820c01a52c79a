"""Moves each arrival of a batch to where it belongs, by its outcomes.

`{"plan", "batch", "warehouse": outcome, "search": outcome}` → `{"processed", "failed", "put_back"}`; an outcome is
`{"status": "done"}` or `{"status": "failed", "error", "cause"}`.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.decide_batch import Destinations
from penstock.flows.settle_batch import settle_batch
from penstock.handler import Answer, Context, Event, lambda_handler, logger, number, outcome, text
from penstock.model.outcomes import SettledArrival


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    return settle_batch(
        wiring.store(),
        wiring.leases(),
        Destinations(wiring.warehouse(), wiring.search()),
        wiring.clock(),
        wiring.datasets(),
        text(event, "plan"),
        number(event, "batch"),
        outcome(event, "warehouse"),
        outcome(event, "search"),
        wiring.settings().max_attempts,
        _tell,
    )


def _tell(one: SettledArrival) -> None:
    told = {"arrival": one.arrival, "key": one.key, "settlement": one.settlement.value, "settled_key": one.settled_key}
    logger.warning(one.reason, extra=told)
