"""Makes tables, views and indexes what the datasets say: `penstock apply`, and every deploy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.model.datasets import Dataset
from penstock.model.views import View
from penstock.ports import SearchIndex


class Roles(Protocol):
    """Of a database that has none of Penstock's yet."""

    def apply(self) -> list[str]:
        """As `Schema.apply`."""
        ...


class Schema(Protocol):
    """The warehouse's owner, which the loaders are not."""

    def apply(self, datasets: Mapping[str, Dataset]) -> list[str]:
        """What it did, a line each; nothing when all was there. Raises PermanentError where a table conflicts."""
        ...


class ViewSchema(Protocol):
    """The views' owner, who also owns the tables."""

    def apply(self, views: Iterable[View]) -> list[str]:
        """As `Schema.apply`. Raises PermanentError where a query is refused."""
        ...


def apply_datasets(
    schema: Schema | None,
    search: SearchIndex | None,
    datasets: Mapping[str, Dataset],
    view_schema: ViewSchema | None = None,
    views: Mapping[str, View] | None = None,
    roles: Roles | None = None,
) -> list[str]:
    """What was done, a line each. Doing it again does nothing."""
    done = list(roles.apply()) if roles else []
    done += schema.apply(datasets) if schema else []
    if view_schema and views is not None:
        done += view_schema.apply(views.values())
    for name, dataset in sorted(datasets.items()):
        if search and dataset.index and search.apply(dataset):
            done.append(f"index {dataset.index.name}: created or updated for dataset {name}")
    return done
