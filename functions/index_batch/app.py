"""Writes a batch's documents. `{"plan", "batch"}` → `{"status": "done", "documents", "rejected"}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.index_batch import index_batch
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch = text(event, "plan"), number(event, "batch")
    counts = index_batch(wiring.store(), wiring.search(), wiring.datasets(), wiring.clock(), plan, batch)
    return {"status": "done", "documents": counts.documents, "rejected": counts.rejected}
