"""Asks how a load goes. `{"plan", "batch", "handle"}` → `{"status": "done"|"running", "handle"}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.load_batch import poll_load
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch, handle = text(event, "plan"), number(event, "batch"), text(event, "handle")
    return poll_load(wiring.store(), wiring.warehouse(), wiring.datasets(), plan, batch, handle)
