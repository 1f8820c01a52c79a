"""Looks, every minute, whether the rates of events are usual, and tells of each that is not, once, and of its end.

Whatever event it gets is only a reason to look. `{}` → `{"rates", "windows", "told", "episodes"}`, as numbers.
"""

from __future__ import annotations

from dataclasses import asdict

from penstock import wiring
from penstock.flows.watch_rate import watch_rate
from penstock.handler import Answer, Context, Event, lambda_handler
from penstock.metrics import publish_rates


@lambda_handler
def handler(_event: Event, _context: Context) -> Answer:
    rates = wiring.rates()
    watched = watch_rate(wiring.counts(), wiring.watches(), wiring.notices(), wiring.clock(), rates.values())
    publish_rates(wiring.settings().stack, len(rates), watched)
    return {"rates": len(rates), **asdict(watched)}
