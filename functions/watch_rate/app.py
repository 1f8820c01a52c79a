"""Looks, every minute, whether the rates of events are usual, and tells of each that is not, once, and of its end.

It looks as of when the rule that sent its event was due; any other event is a reason to look now.
`{}` → `{"rates", "windows", "told", "episodes"}`, as numbers.
"""

from __future__ import annotations

from dataclasses import asdict

from penstock import wiring
from penstock.flows.watch_rate import watch_rate
from penstock.handler import Answer, Context, Event, lambda_handler
from penstock.metrics import publish_rates
from penstock.triggers import due


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    rates, clock = wiring.rates(), wiring.clock()
    as_of = min(due(event) or clock.now(), clock.now())  # What is not over yet is nobody's to judge.
    watched = watch_rate(wiring.counts(), wiring.watches(), wiring.notices(), clock, rates.values(), as_of)
    publish_rates(wiring.settings().stack, len(rates), watched)
    return {"rates": len(rates), **asdict(watched)}
