"""Sums up a run. `{"plan", "run"}` → `{"subject", "message", "ok", "kick_offs": [{"plan", "dataset"}, …]}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.summarise_run import summarise_run
from penstock.handler import Answer, Context, Event, lambda_handler, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    return summarise_run(wiring.store(), wiring.datasets(), text(event, "plan"), str(event.get("run", "")))
