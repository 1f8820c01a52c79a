"""Loads or indexes a batch of Parquet files: BeginLoad and IndexBatch with pyarrow beside them.

`{"plan", "batch", "step": "load", "handle"}` → `{"status": "done"|"running", "handle"}`; the handle given is that of a
load whose next round PollLoad left to it, or empty;
`{"plan", "batch", "step": "index"}`, when the load has ended, → `{"status": "done", "documents", "rejected"}`.

`{"status": "huge", …}` where a file wants more time than a function has, and the stack has a task for it.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.index_batch import index_batch
from penstock.flows.load_batch import begin_load, poll_load
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch, step = text(event, "plan"), number(event, "batch"), text(event, "step")
    store, warehouse, datasets = wiring.store(), wiring.warehouse(), wiring.datasets()
    if step == "load" and (handle := event.get("handle")):
        return poll_load(store, warehouse, datasets, plan, batch, str(handle))
    if step == "load":
        return begin_load(store, warehouse, datasets, plan, batch, bound=wiring.load_bound())
    ports = store, warehouse, wiring.search(), datasets, wiring.clock()
    return index_batch(plan, batch, *ports, load_ended=True, bound=wiring.index_bound())
