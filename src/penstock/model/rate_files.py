"""Reads `datasets/rates`: the YAML files of the rates."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from penstock.model.dataset_faults import Fault, faults_of, line_of
from penstock.model.errors import DatasetError
from penstock.model.rates import Rate
from penstock.model.yaml_files import read_mapping

FOLDER = "rates"
"""Below the datasets' own, so that it is deployed with them."""


def load_rates(folder: Path) -> dict[str, Rate]:
    """Every rate in `folder`, which need not be there, by name. Raises DatasetError as `load_datasets` does."""
    faults: list[Fault] = []
    rates: dict[str, Rate] = {}
    types: dict[str, str] = {}
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        raw = read_mapping(path, faults)
        if raw is None:
            continue
        try:
            rate = Rate.model_validate(raw)
        except ValidationError as error:
            faults.extend(faults_of(path, error, Rate))
            continue
        if rate.name != path.stem:
            text = f"{rate.name!r} is not the file's name; call it {path.stem}, or the file {rate.name}.yaml"
            faults.append(Fault(path, line_of(path, "name"), "name", text))
        if rate.type in types:
            faults.append(Fault(path, line_of(path, "type"), "type", f"is watched by {types[rate.type]} already"))
        rates[rate.name] = rate
        types[rate.type] = rate.name
    if faults:
        raise DatasetError("\n".join(str(fault) for fault in sorted(faults)))
    return rates
