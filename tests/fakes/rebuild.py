from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.fakes.warehouse import FakeWarehouse

from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.outcomes import Verdict
from penstock.model.replays import Comparison, Difference, Known


@dataclass(slots=True)
class FakeRebuild:
    """A second table in the memory of a `FakeWarehouse`; without views, and of the dataset's columns."""

    warehouse: FakeWarehouse

    def known(self, dataset: Dataset) -> Sequence[Known]:
        mine = [arrival for (table, _), (_, arrival) in self.warehouse._decided.items() if table == _table(dataset)]
        return [Known(one.id, one.key, one.version_id, one.etag, one.size, one.modified, one.modified) for one in mine]

    def prepare(self, rebuilt: Dataset) -> Sequence[str]:
        table = _table(rebuilt)
        if self.warehouse.rows(rebuilt) and not self.known(rebuilt):
            raise PermanentError(f"table {table} holds rows that no replay has put there. Name another with --into")
        if table in self.warehouse._tables:
            return []
        self.warehouse._tables[table] = []
        return [f"created table {table}"]

    def compare(self, live: Dataset, rebuilt: Dataset) -> Comparison:
        keys = {one.arrival: one.key for one in self.known(rebuilt)}
        old, new = self._rows(live), self._rows(rebuilt)
        both = old.keys() | new.keys()
        differing = {id_ for id_ in both if id_ in keys and old.get(id_) != new.get(id_)}
        beyond = [old[id_] for id_ in both if id_ not in keys and id_ in old]
        none: Counter[Any] = Counter()
        return Comparison(
            live_rows=sum(rows.total() for rows in old.values()),
            rebuilt_rows=sum(rows.total() for rows in new.values()),
            differing=len(differing),
            differences=tuple(
                Difference(id_, keys[id_], old.get(id_, none).total(), new.get(id_, none).total())
                for id_ in sorted(differing, key=lambda one: (keys[one], one))[:100]
            ),
            only_live=sum((old.get(id_, none) - new.get(id_, none)).total() for id_ in differing),
            only_rebuilt=sum((new.get(id_, none) - old.get(id_, none)).total() for id_ in differing),
            beyond=len(beyond),
            beyond_rows=sum(rows.total() for rows in beyond),
            columns=tuple(column.name for column in live.columns),
        )

    def swap(self, live: Dataset, rebuilt: Dataset, now: datetime) -> str:
        old, new = _table(live), _table(rebuilt)
        ledger = self.warehouse._ledger
        here = {arrival for table, arrival in ledger if table == new}
        decided = {at for at, outcome in ledger.items() if at[0] == old and outcome.verdict is not Verdict.QUARANTINED}
        if missing := [arrival for _, arrival in decided if arrival not in here]:
            raise PermanentError(f"{len(missing)} files are in the ledger of {old} and not in that of {new}")
        kept = f"{old}_before_{now.astimezone(UTC):%Y%m%dt%H%M%S}"
        for of in (ledger, self.warehouse._decided, self.warehouse._rejects, self.warehouse._retries):
            _rename(of, {(old, arrival): (kept, arrival) for arrival in here})
            _rename(of, {(new, arrival): (old, arrival) for arrival in here})
        for before, after in ((old, kept), (new, old)):
            merges = self.warehouse._merges
            _rename(merges, {(table, key): (after, key) for table, key in merges if table == before})
        _rename(self.warehouse._tables, {old: kept})
        _rename(self.warehouse._tables, {new: old})
        return kept

    def readers(self, live: Dataset) -> Sequence[str]:
        return []

    def _rows(self, dataset: Dataset) -> dict[str, Counter[Any]]:
        found: dict[str, Counter[Any]] = {}
        for loaded in self.warehouse._tables.get(_table(dataset), []):
            if loaded.rows:
                found.setdefault(loaded.arrival.id, Counter()).update(loaded.rows)
        return found


def _rename(of: dict[Any, Any], names: dict[Any, Any]) -> None:
    for before, after in names.items():
        if before in of:
            of[after] = of.pop(before)


def _table(dataset: Dataset) -> str:
    return dataset.table.qualified if dataset.table else ""
