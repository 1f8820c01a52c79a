"""Moves each arrival of a batch to where it belongs, by its outcomes.

`{"plan", "batch", "warehouse": outcome, "search": outcome}` → `{"processed", "failed", "put_back"}`; an outcome is
`{"status": "done"}` or `{"status": "failed", "error", "cause"}`.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.settle_batch import settle_batch
from penstock.handler import Answer, Context, Event, failure, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch = text(event, "plan"), number(event, "batch")
    return settle_batch(
        wiring.store(),
        wiring.leases(),
        wiring.clock(),
        wiring.warehouse(),
        wiring.search(),
        wiring.datasets(),
        wiring.settings().max_attempts,
        plan,
        batch,
        warehouse_failure=failure(event, "warehouse"),
        search_failure=failure(event, "search"),
    )
