"""Loads a batch into the warehouse, or begins to. `{"plan", "batch"}` → `{"status": "done"|"running", "handle"}`.

`{"status": "parquet", …}` for a batch of Parquet files, which work_parquet reads: nothing was done.
"""

from __future__ import annotations

from penstock import wiring
from penstock.flows.load_batch import begin_load
from penstock.handler import Answer, Context, Event, lambda_handler, number, text


@lambda_handler
def handler(event: Event, _context: Context) -> Answer:
    plan, batch = text(event, "plan"), number(event, "batch")
    known = wiring.store(), wiring.warehouse(), wiring.datasets()
    return begin_load(*known, plan, batch, reads_parquet=False, bound=wiring.load_bound())
