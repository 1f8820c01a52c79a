"""Lists `incoming/` and starts a run for what it finds; whatever event it gets is only a reason to look.

S3 notifications (bare or in SQS), EventBridge's shape of them, the schedule's tick and a run's end all mean the same.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.list_incoming import list_incoming
from penstock.handler import Answer, Context, Event, lambda_handler, logger
from penstock.metrics import publish_backlog, publish_breakers
from penstock.triggers import Trigger, triggers_of


@lambda_handler
def handler(event: Event, context: Context) -> Answer:
    triggers = triggers_of(event)
    logger.info("asked to list", extra={"triggers": triggers})
    if set(triggers) == {Trigger.TEST}:
        return {"listed": False}  # S3 says that the notification is set up; nothing has arrived.
    listing = list_incoming(
        wiring.store(),
        wiring.leases(),
        wiring.runs(),
        wiring.clock(),
        wiring.datasets(),
        wiring.limits(),
        owner=context.aws_request_id,
    )
    for plan in listing.plans:
        logger.info("a run was started", extra={"run": plan})
    if listing.cut:
        logger.warning("incoming/ holds more than a listing has time to read: the rest follows when that is worked")
    if listing.listed:
        publish_backlog(wiring.settings().stack, listing)
        publish_breakers(wiring.settings().stack, listing.down)
    return {"listed": listing.listed, "plans": list(listing.plans)}
