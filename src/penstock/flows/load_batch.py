"""The warehouse branch: begin a load, then look whether it is done. How it went, the load ledger says."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.flows.plan_of import read_batch
from penstock.model.arrivals import UNCLAIMED
from penstock.model.datasets import Dataset, Format
from penstock.model.errors import PermanentError, ReaderMissingError
from penstock.model.huge import Bound, refused_as_huge
from penstock.model.plans import Batch
from penstock.ports import LoadProgress, ObjectStore, Warehouse

_DONE = LoadProgress()


def begin_load(
    store: ObjectStore,
    warehouse: Warehouse | None,
    datasets: Mapping[str, Dataset],
    plan: str,
    number: int,
    *,
    reads_parquet: bool = True,
    bound: Bound | None = None,
) -> dict[str, str]:
    """`{"status": "done" | "running", "handle": …}`. A dataset without a table is done at once.

    `{"status": "parquet", …}` where the batch is of Parquet files and whoever asks can't read them: nothing was done.
    Within the `bound` of a function, a file that it has no time for is not begun: `{"status": "huge", …}` where the
    stack has a task for it, and else it is quarantined.

    Repeating it is safe: what the ledger has decided is passed over.
    """
    batch = read_batch(store, plan, number)
    dataset = _with_table(batch, datasets)
    if dataset is None:
        return _answer(_DONE)
    if dataset.format is Format.PARQUET and not reads_parquet:
        return {"status": "parquet", "handle": ""}
    to = _require(warehouse, dataset)
    huge = refused_as_huge(bound, dataset, batch)
    if huge is None:
        return {"status": "huge", "handle": ""}
    for arrival in batch.arrivals:
        if arrival.id in huge:
            to.quarantine(dataset, [arrival], huge[arrival.id])
    return _answer(to.begin(batch, dataset, store))


def poll_load(
    store: ObjectStore,
    warehouse: Warehouse | None,
    datasets: Mapping[str, Dataset],
    plan: str,
    number: int,
    handle: str,
    *,
    reads_parquet: bool = True,
) -> dict[str, str]:
    """As `begin_load`, of the load that it gave `handle` for. `{"status": "parquet", …}` with the same handle where the
    load's next round wants files read that whoever asks can't read: nothing was done.
    """
    batch = read_batch(store, plan, number)
    dataset = _with_table(batch, datasets)
    if dataset is None:
        return _answer(_DONE)
    try:
        return _answer(_require(warehouse, dataset).poll(batch, dataset, handle))
    except ReaderMissingError:
        if reads_parquet:
            raise  # Or the state machine would ask the same function again and again.
        return {"status": "parquet", "handle": handle}


def _with_table(batch: Batch, datasets: Mapping[str, Dataset]) -> Dataset | None:
    if batch.dataset == UNCLAIMED:
        return None
    dataset = datasets.get(batch.dataset)
    if dataset is None:
        raise PermanentError(
            f"Batch {batch.number} is of dataset {batch.dataset}, which this deployment does not have: it was removed "
            "while the run went on. Its files are put back, and the next listing plans them by the datasets there are."
        )
    return dataset if dataset.table else None


def _require(warehouse: Warehouse | None, dataset: Dataset) -> Warehouse:
    if warehouse is None:
        raise PermanentError(
            f"Dataset {dataset.name} has a table, and this stack has no warehouse. Deploy it with one, or take `table` "
            "out of the dataset."
        )
    return warehouse


def _answer(progress: LoadProgress) -> dict[str, str]:
    return {"status": "running" if progress.running else "done", "handle": progress.handle}
