"""Asks ledger and index about a batch, decides each arrival, and does what may be done twice.

That is the documents, the rejects and the reasons; what may be done once alone, the attempts, is `settle_batch`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.flows.converge_documents import converge
from penstock.flows.decided import Decided, Stuck
from penstock.flows.deciding import (
    Branch,
    Decision,
    Documents,
    Told,
    decide,
    not_before,
    shortened,
    unclaimed_reason,
    undecided,
)
from penstock.flows.set_aside import REJECTS, beside, write_reason, write_reason_where_it_lies, write_rejects
from penstock.model.arrivals import FAILED, PROCESSED, UNCLAIMED, Arrival, settled_key
from penstock.model.breakers import needs, tripped
from penstock.model.dataset_files import dataset_of
from penstock.model.datasets import Dataset
from penstock.model.errors import SEARCH, WAREHOUSE, DestinationDownError, PermanentError, TransientError
from penstock.model.outcomes import IndexOutcome, LoadOutcome, SettledArrival, Settlement, Verdict
from penstock.model.plans import Batch, indexed_key
from penstock.ports import Attempt, Clock, Leases, ObjectStore, SearchIndex, Warehouse

_UNSTARTED = (
    "AWS started no worker for it. Throttled? Raise WarehouseConcurrency or the account's quota of concurrent "
    "functions, or lower MaxBatchesAtWork"
)


@dataclass(frozen=True, slots=True)
class Destinations:
    """What a batch is settled against. None is what the stack does not have."""

    warehouse: Warehouse | None
    search: SearchIndex | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where batches of a run are decided. `warehouse_branch` and `search_branch` are how the batch's branches ended."""

    store: ObjectStore
    leases: Leases
    destinations: Destinations
    clock: Clock
    datasets: Mapping[str, Dataset]
    most_attempts: int
    warehouse_branch: Branch
    search_branch: Branch

    def decide(self, plan: str, batch: Batch) -> list[Decided]:
        """Of each arrival, in the batch's order."""
        dataset = self._usable(batch.dataset)
        if dataset is None:
            return [
                self._each(plan, arrival, lambda one: self._without_dataset(plan, batch.dataset, one))
                for arrival in batch.arrivals
            ]
        try:
            self._meet(dataset)
            known = self._ask(plan, batch, dataset)
            decided = [
                self._each(plan, arrival, lambda one: self._carry(plan, one, known[one.id], decide(known[one.id])))
                for arrival in batch.arrivals
            ]
        except DestinationDownError as down:
            self._trip(plan, down)
            reason = str(down)
            return [
                self._each(plan, arrival, lambda one: self._spared(plan, one, reason)) for arrival in batch.arrivals
            ]
        for destination in needs(dataset) & self.leases.breakers().keys():
            self.leases.close_breaker(destination)
        return decided

    def _each(self, plan: str, arrival: Arrival, end: Callable[[Arrival], Decided]) -> Decided:
        """What is refused for good to one of its keys keeps that one alone."""
        try:
            return end(arrival)
        except PermanentError as error:
            return Stuck(self.store, self.leases, self.clock, plan, self.most_attempts).end(arrival, str(error))

    def _usable(self, name: str) -> Dataset | None:
        """The dataset as this stack can work it: without a search index, one with a table still has its table."""
        dataset = self.datasets.get(name)
        if dataset and dataset.table and self.destinations.search is None:
            return dataset.model_copy(update={"index": None})
        return dataset

    # ── destinations that are down ──────────────────────────────────────────────────────────────────────────────────

    def _meet(self, dataset: Dataset) -> None:
        """Raises DestinationDownError when a branch found its destination down, or the index is down now.

        Where AWS started no worker there is no way to it, for this dataset at least: a function may work some alone.
        The warehouse is asked for its ledger anyway. The index is asked something small when its branch failed: what
        looks like a file's fault may be that nothing answers.
        """
        for destination, branch in ((WAREHOUSE, self.warehouse_branch), (SEARCH, self.search_branch)):
            if branch.down in needs(dataset):
                raise DestinationDownError(branch.down, branch.down_reason)
            if branch.unstarted and destination in needs(dataset):
                raise DestinationDownError(destination, f"{_UNSTARTED} ({branch.reason})", dataset.name)
        if self.search_branch.reason and dataset.index and self.destinations.search:
            try:
                self.destinations.search.count(dataset.index.name, "")
            except DestinationDownError:
                raise
            except TransientError as slow:
                raise DestinationDownError(SEARCH, str(slow)) from slow
            except PermanentError:
                pass  # It answers, and the branch has said what is wrong.

    def _trip(self, plan: str, down: DestinationDownError) -> None:
        standing = self.leases.breakers().get(down.destination)
        breaker = tripped(standing, down.destination, plan, self.clock.now(), shortened(str(down)))
        if breaker != standing:
            self.leases.open_breaker(breaker)

    def _spared(self, plan: str, arrival: Arrival, reason: str) -> Decided:
        """Put back as it was, no attempt counted. Nothing plans it before the breaker lets it."""
        if arrival.location:
            return self._left(plan, arrival, f"Not tried: {shortened(reason)}. Retry it when that is mended.")
        return Decided(SettledArrival(arrival.id, arrival.key, Settlement.PUT_BACK, reason=shortened(reason)))

    def _left(self, plan: str, arrival: Arrival, reason: str) -> Decided:
        """A retried one stays in `failed/`, where it lies, and so do its rejects."""
        write_reason_where_it_lies(self.store, arrival, plan, reason)
        key = arrival.lies.key
        settled = SettledArrival(arrival.id, arrival.key, Settlement.FAILED, reason=reason, settled_key=key)
        return Decided(settled, rejects=beside(key, REJECTS))

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, plan: str, batch: Batch, dataset: Dataset) -> dict[str, Told]:
        """By arrival id."""
        loads = self._loads(dataset, batch.arrivals)
        indexed = self._indexed(plan, batch.number) if dataset.index else {}
        waiting = self.leases.attempts_of([arrival.id for arrival in batch.arrivals])

        def told(arrival: Arrival) -> Told:
            before = waiting.get(arrival.id)
            # Two settlings of one batch may meet, when one was given up on: this run's attempt is counted once.
            counted = before is not None and before.run == plan
            crashed = self.warehouse_branch.crashed or self.search_branch.crashed
            return Told(
                dataset=dataset,
                load=loads.get(arrival.id),
                indexed=indexed.get(arrival.id),
                warehouse=self.warehouse_branch,
                search=self.search_branch,
                attempts=before.attempts - counted if before else 0,
                most_attempts=self.most_attempts,
                retried=arrival.location is not None,
                alone=len(batch.arrivals) == 1,
                crashes=max(0, before.crashes - (counted and crashed)) if before else 0,
                unsettled=before.unsettled if before else 0,
            )

        lost = [arrival for arrival in batch.arrivals if undecided(told(arrival)) and told(arrival).is_last]
        if lost and self.destinations.warehouse:
            # In the ledger first: a load that was given up on and commits late finds the row there, and loads nothing.
            # Should it have committed just now, the ledger says so, and that is followed.
            tries = "its retry" if lost[0].location else f"{self.most_attempts} attempts"
            reason = f"Given up after {tries}: {decide(told(lost[0])).reason}"
            self.destinations.warehouse.quarantine(dataset, lost, reason)
            loads = {**loads, **self._loads(dataset, lost)}
            if any(undecided(told(arrival)) for arrival in lost):
                raise TransientError(f"The load ledger does not show the quarantine of {lost[0].key} yet. Try again.")
        return {arrival.id: told(arrival) for arrival in batch.arrivals}

    def _loads(self, dataset: Dataset, arrivals: Sequence[Arrival]) -> Mapping[str, LoadOutcome]:
        warehouse = self.destinations.warehouse
        return warehouse.outcomes(dataset, arrivals) if warehouse and dataset.table else {}

    def _indexed(self, plan: str, number: int) -> Mapping[str, IndexOutcome]:
        try:
            raw = self.store.get_json(indexed_key(plan, number))
        except KeyError:
            return {}
        return {arrival: IndexOutcome.from_json(outcome) for arrival, outcome in raw.items()}

    # ── carrying out ────────────────────────────────────────────────────────────────────────────────────────────────

    def _carry(self, plan: str, arrival: Arrival, told: Told, decision: Decision) -> Decided:
        moved = settled_key(PROCESSED, told.dataset.name, told.dataset.prefix, arrival)
        if told.dies_settling and any(self.store.keys(moved)):
            # It died of the move itself, which less would not help; and half of it elsewhere it would be in two places.
            told = replace(told, unsettled=0)
            decision = decide(told)
        dataset, reason = told.dataset, shortened(decision.reason)
        if decision.settlement is Settlement.PUT_BACK:
            crashes = told.crashes + (told.warehouse.crashed or told.search.crashed)
            later = not_before(self.clock.now(), told.attempts)
            attempt = Attempt(arrival.id, told.attempts + 1, later, reason, plan, crashes)
            back = SettledArrival(arrival.id, arrival.key, Settlement.PUT_BACK, reason=reason, died=told.died)
            return Decided(back, attempt)
        documents = self._documents(arrival, told, decision)
        rejects = ""
        if not told.dies_settling:
            warehouse = self.destinations.warehouse
            rejects = write_rejects(self.store, warehouse, dataset, arrival, told.load, told.indexed)
        failed = decision.settlement is Settlement.FAILED
        if failed:
            write_reason(self.store, arrival, dataset.name, dataset.prefix, plan, reason)
        root = FAILED if failed else PROCESSED
        return Decided(
            rejects=rejects,
            arrival=SettledArrival(
                arrival=arrival.id,
                key=arrival.key,
                settlement=decision.settlement,
                rows=told.load.rows if told.load and told.load.verdict is Verdict.LOADED else 0,
                repeats=told.load.repeats if told.load else 0,
                rejects=told.load.rejects if told.load else told.indexed.rejected if told.indexed else 0,
                documents=documents,
                duplicate=decision.duplicate,
                reason=reason,
                settled_key=settled_key(root, dataset.name, dataset.prefix, arrival),
            ),
        )

    def _documents(self, arrival: Arrival, told: Told, decision: Decision) -> int:
        """Does what was decided of the documents; how many the arrival has then."""
        search, warehouse, index = self.destinations.search, self.destinations.warehouse, told.dataset.index
        indexed = told.indexed
        if index is None or search is None:
            return 0
        if decision.documents is Documents.DELETE:
            search.delete_arrival(index.name, arrival.id)
            return 0
        if decision.duplicate:
            return 0
        if decision.documents is Documents.CONVERGE and warehouse and told.load and indexed:
            return converge(self.store, warehouse, search, told.dataset, arrival, told.load, indexed)
        return indexed.documents if indexed else 0

    def _without_dataset(self, plan: str, name: str, arrival: Arrival) -> Decided:
        """Nobody claims it; or the datasets changed since the plan was made, and then the next listing sees it anew."""
        if name != UNCLAIMED or dataset_of(self.datasets, arrival.key):
            reason = "The datasets were deployed anew while the run went on: planned again by those there are now."
            if arrival.location:
                reason = f"This stack has no dataset {name} for it. Deploy the datasets, then retry it again."
                return self._left(plan, arrival, reason)
            return Decided(SettledArrival(arrival.id, arrival.key, Settlement.PUT_BACK, reason=reason))
        reason = shortened(unclaimed_reason(arrival, (dataset.prefix for dataset in self.datasets.values())))
        write_reason(self.store, arrival, UNCLAIMED, "", plan, reason)
        key = settled_key(FAILED, UNCLAIMED, "", arrival)
        return Decided(SettledArrival(arrival.id, arrival.key, Settlement.FAILED, reason=reason, settled_key=key))
