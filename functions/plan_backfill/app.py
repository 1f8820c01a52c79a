"""Plans a backfill's next part. `{"plan", "part"}` → `{"plan", "part": the next, "items": key, "batches", "more"}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.plan_backfill import plan_backfill
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    backfill, part = text(event, "plan"), number(event, "part")
    return plan_backfill(wiring.store(), wiring.leases(), wiring.clock(), wiring.datasets(), backfill, part)
