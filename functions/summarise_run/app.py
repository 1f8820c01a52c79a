"""Sums up a run or a backfill. `{"plan", "run"}` → `{"subject", "message", "ok", "kick_offs": [{plan, dataset}]}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.summarise_backfill import summarise_backfill
from penstock.flows.summarise_run import summarise_run
from penstock.handler import Answer, Context, Event, lambda_handler, text
from penstock.model.backfills import is_backfill


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan = text(event, "plan")
    summarise = summarise_backfill if is_backfill(plan) else summarise_run
    return summarise(wiring.store(), wiring.datasets(), plan, str(event.get("run", "")))
