"""A view: what is computed from loaded tables, and rebuilt when a run has loaded something that it is made of.

`datasets/views/<name>.yaml`, one each. In the warehouse it is a materialized view, so that whoever reads it waits for
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from penstock.model.dataset_faults import Fault, faults_of, line_of
from penstock.model.datasets import Dataset, Name, Table
from penstock.model.declared import Declared
from penstock.model.errors import DatasetError
from penstock.model.yaml_files import read_mapping

FOLDER = "views"
"""Below the datasets' own, so that it is deployed with them."""


class View(Declared):
    """`datasets/views/<name>.yaml`."""

    name: Name = Field(description="The view's name; also the file's.")
    view: Table = Field(description="Where it is in the warehouse: schema.name, or name in schema public.")
    of: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="Datasets whose loading makes it stale: those whose tables it reads."
    )
    key: Annotated[tuple[Name, ...], Field(min_length=1)] = Field(
        description="Columns of the result that tell its rows apart; with them it is rebuilt under its readers."
    )
    query: Annotated[str, Field(min_length=1)] = Field(description="The SELECT that it is the result of.")

    @field_validator("query")
    @classmethod
    def _one_statement(cls, value: str) -> str:
        query = value.strip().removesuffix(";").rstrip()
        if query.upper().split(None, 1)[:1] not in (["SELECT"], ["WITH"]):
            raise ValueError("is no SELECT: begin it with SELECT or WITH")
        return query


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A view as its last rebuild left it: `schema.name` quoted, rows, and how long the rebuild took."""

    view: str
    rows: int
    seconds: float


def load_views(folder: Path, datasets: Mapping[str, Dataset]) -> dict[str, View]:
    """Every view in `folder`, which need not be there, by name. Raises DatasetError as `load_datasets` does."""
    faults: list[Fault] = []
    views: dict[str, View] = {}
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        raw = read_mapping(path, faults)
        if raw is None:
            continue
        try:
            view = View.model_validate(raw)
        except ValidationError as error:
            faults.extend(faults_of(path, error, View))
            continue
        if view.name != path.stem:
            text = f"{view.name!r} is not the file's name; call it {path.stem}, or the file {view.name}.yaml"
            faults.append(Fault(path, line_of(path, "name"), "name", text))
        for number, name in enumerate(view.of):
            if name not in datasets or datasets[name].table is None:
                text = f"there is no dataset {name} with a table. Those there are: {', '.join(_tables(datasets))}"
                faults.append(Fault(path, line_of(path, "of", number), f"of.{number}", text))
        views[view.name] = view
    if faults:
        raise DatasetError("\n".join(str(fault) for fault in sorted(faults)))
    return views


def _tables(datasets: Mapping[str, Dataset]) -> list[str]:
    return [name for name, dataset in sorted(datasets.items()) if dataset.table]
