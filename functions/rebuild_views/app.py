"""Rebuilds the views that are made of a dataset. `{"run", "dataset"}` → `{"views": [{"view", "rows", "seconds"}]}`."""

from __future__ import annotations

from penstock import wiring
from penstock.flows.rebuild_views import rebuild_views
from penstock.handler import Answer, Context, Event, lambda_handler, text


@lambda_handler
def handler(event: Event, _: Context) -> Answer:
    return rebuild_views(wiring.views(), text(event, "dataset"), text(event, "run"))
