"""Compares S3, ledger, rows and documents, once a day or when called: `{}` → `{"disagreements", "report"}`.

Whatever event it gets is only a reason to look; `{"goes_on": true}` is one only where a round is open. The answer
counts files that disagree; the report in S3 names them. Of a round that this call did not complete it says where it
stands, `{"round"}`; where there is none, that is empty.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.reconcile import Kept, report_key
from penstock.flows.reconcile_in_parts import Rounds
from penstock.handler import Answer, Context, Event, lambda_handler, logger
from penstock.metrics import publish_disagreements

LOGGED = 20


@lambda_handler
def handler(event: Event, context: Context) -> Answer:
    settings = wiring.settings()
    rounds = Rounds(
        wiring.store(),
        wiring.leases(),
        wiring.warehouse(),
        wiring.search(),
        wiring.clock(),
        wiring.datasets(),
        Kept(settings.processed_expiration_days, settings.failed_expiration_days),
    )
    at_work = rounds.go_on(context.aws_request_id, begins=not event.get("goes_on"))
    if at_work is None or not at_work.complete:
        return {"round": str(at_work or "")}
    found = at_work.report
    for one in found.disagreements[:LOGGED]:
        told = {"arrival": one.arrival, "kind": one.kind, "dataset": one.dataset, "key": one.key, "todo": one.todo}
        logger.warning(one.what, extra=told)
    publish_disagreements(settings.stack, found)
    return {"disagreements": found.total, "report": report_key(found.began)}
