"""Starts what a dataset asks for after a run. `{"plan", "dataset"}` → `{"reference"}`."""

from __future__ import annotations

from functools import partial

from penstock import wiring
from penstock.flows.kick_off import kick_off
from penstock.handler import Answer, Context, Event, lambda_handler, text


@lambda_handler
def handler(event: Event, context: Context) -> Answer:
    plan, dataset = text(event, "plan"), text(event, "dataset")
    pipeline = partial(wiring.pipeline, function_arn=context.invoked_function_arn)
    return kick_off(wiring.leases(), pipeline, wiring.datasets(), plan, dataset)
