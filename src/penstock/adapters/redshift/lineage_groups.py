"""Which arrivals can't be told apart by their rows: those that a COPY of many brought, in one table or in the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Of either ledger. `lineage` is empty where no rows are in the table."""

    arrival: str
    key: str
    lineage: str
    rows: int


@dataclass(slots=True)
class Group:
    lineages: set[str]
    arrivals: set[str]


def groups_of(live: Iterable[LedgerRow], rebuilt: Iterable[LedgerRow], there: Iterable[str]) -> list[Group]:
    """The arrivals and the lineages that hang together; a lineage that is in no ledger stands for itself."""
    by_lineage: dict[str, Group] = {one: Group({one}, set()) for one in there}
    by_arrival: dict[str, Group] = {}
    for row in (*live, *rebuilt):
        group = by_arrival.setdefault(row.arrival, Group(set(), {row.arrival}))
        if not row.lineage:
            continue
        other = by_lineage.setdefault(row.lineage, Group({row.lineage}, set()))
        if other is group:
            continue
        small, large = sorted((group, other), key=lambda one: len(one.arrivals) + len(one.lineages))
        large.lineages |= small.lineages
        large.arrivals |= small.arrivals
        by_lineage.update(dict.fromkeys(small.lineages, large))
        by_arrival.update(dict.fromkeys(small.arrivals, large))
    for lineage, group in by_lineage.items():
        if not group.arrivals:  # Its ledger row is lost, and a lineage of one file is that file's id.
            group.arrivals.add(lineage)
    return list({id(one): one for one in (*by_lineage.values(), *by_arrival.values())}.values())
