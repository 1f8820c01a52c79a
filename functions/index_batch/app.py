"""Writes a batch's documents.

`{"plan", "batch"}` → `{"status": "done"|"waiting", "documents", "rejected"}`. What waits is asked again with
`"load_ended": true` when the load of the batch has ended, and then doesn't wait. `{"status": "parquet", …}` for a
batch of Parquet files, which work_parquet reads: nothing was done.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.index_batch import index_batch
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch = text(event, "plan"), number(event, "batch")
    store, warehouse, search = wiring.store(), wiring.warehouse(), wiring.search()
    load_ended = event.get("load_ended") is True
    datasets, clock = wiring.datasets(), wiring.clock()
    ports = store, warehouse, search, datasets, clock
    return index_batch(plan, batch, *ports, load_ended=load_ended, reads_parquet=False, bound=wiring.index_bound())
