"""Creates or checks tables, views and indexes, as a custom resource of the stack at each deploy or when called by hand.

Called by hand it answers `{"did": ["created table public.flights", …]}` and raises what goes wrong. As a custom
resource it answers CloudFormation. Deleting the stack drops nothing: tables and indexes hold the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock import wiring
from penstock.flows.apply_datasets import apply_datasets
from penstock.handler import Answer, Context, Event, lambda_handler

_PATIENCE = 200
"""Seconds. A proxy that was made a moment ago looks for its database, and not all of IAM knows yet who may log in."""


@lambda_handler
def handler(event: Event, context: Context) -> Answer:
    if "ResponseURL" not in event:
        return {"did": _apply()}
    from penstock.custom_resource import answer_cloudformation, once_it_is_up

    def work() -> Mapping[str, Any]:
        if event["RequestType"] == "Delete":
            return {"Did": 0}
        return {"Did": len(once_it_is_up(_apply, _PATIENCE if wiring.settings().warehouse_host else 0))}

    answer_cloudformation(event, context, "penstock-datasets", work)
    return {}


def _apply() -> list[str]:
    views = wiring.described_views()
    return apply_datasets(
        wiring.schema(), wiring.search(), wiring.datasets(), wiring.view_schema(), views, wiring.roles()
    )
