"""Compares S3, ledger, rows and documents, once a day or when called: `{}` → `{"disagreements", "report"}`.

Whatever event it gets is only a reason to look. The answer counts files that disagree; the report in S3 names them.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.reconcile import Kept, Scope, reconcile, report_key
from penstock.handler import Answer, Context, Event, lambda_handler, logger
from penstock.metrics import publish_disagreements

LOGGED = 20


@lambda_handler
def handler(_event: Event, _context: Context) -> Answer:
    settings, store = wiring.settings(), wiring.store()
    found = reconcile(
        store,
        wiring.leases(),
        None,  # Step Functions is out of reach in a VPC without its endpoint; a listing ends a run within a minute.
        wiring.warehouse(),
        wiring.search(),
        wiring.clock(),
        wiring.datasets(),
        Scope(),
        Kept(settings.processed_expiration_days, settings.failed_expiration_days),
    )
    report = report_key(found.began)
    store.put_json(report, found.to_json())
    for one in found.disagreements[:LOGGED]:
        told = {"arrival": one.arrival, "kind": one.kind, "dataset": one.dataset, "key": one.key, "todo": one.todo}
        logger.warning(one.what, extra=told)
    publish_disagreements(settings.stack, found)
    return {"disagreements": found.total, "report": report}
