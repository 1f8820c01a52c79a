"""Asks how a load goes. `{"plan", "batch", "handle"}` → `{"status": "done"|"running", "handle"}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.load_batch import poll_load
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch, handle = text(event, "plan"), number(event, "batch"), text(event, "handle")
    known = wiring.store(), wiring.warehouse(), wiring.datasets()
    return poll_load(*known, plan, batch, handle, reads_parquet=False)
