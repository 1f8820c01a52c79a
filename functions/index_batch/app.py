"""Writes a batch's documents. `{"plan", "batch"}` → `{"status": "done", "documents", "rejected"}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.index_batch import index_batch
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch = text(event, "plan"), number(event, "batch")
    store, warehouse, search = wiring.store(), wiring.warehouse(), wiring.search()
    return index_batch(plan, batch, store, warehouse, search, wiring.datasets(), wiring.clock())
