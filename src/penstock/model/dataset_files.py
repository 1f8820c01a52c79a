"""Reads `datasets/*.yaml`: what is refused is named by file, line and path, all of it at once.

Every cold start of a function reads them, so the happy path parses once and looks for no line; only a refusal composes
the file's nodes a second time to find where each fault stands.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penstock.model.arrivals import INCOMING
from penstock.model.compression import decompressed
from penstock.model.dataset_faults import Fault, faults_of, line_of
from penstock.model.datasets import Compression, Dataset, Format
from penstock.model.errors import BadFileError, DatasetError
from penstock.model.inference import infer_columns
from penstock.model.yaml_files import read_mapping

MAX_SAMPLE_BYTES = 2**20
"""Most of a sample that is read, uncompressed."""


def load_datasets(folder: Path) -> dict[str, Dataset]:
    """Every dataset in `folder`, by name, with `infer` resolved to columns.

    A prefix may lie inside another's (the longest wins), but no two are equal. Raises DatasetError with every fault of
    every file, one a line: `datasets/flights.yaml:12: columns.3.type: 'integre' is not one of …`.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder. Datasets are described there, one <name>.yaml each.")
    paths = sorted(folder.glob("*.yaml"))
    faults = [Fault(path, 1, "", "call it .yaml: no other ending is read") for path in sorted(folder.glob("*.yml"))]
    if not paths and not faults:
        # With no dataset every file would be nobody's and go to failed/: more likely the folder was not deployed.
        raise DatasetError(f"{folder}: there is no *.yaml in it, so no file could be worked. Describe a dataset first.")
    datasets: dict[str, Dataset] = {}
    owners: dict[str, Path] = {}
    for path in paths:
        dataset = _read(path, faults)
        if dataset is None:
            continue
        if dataset.name != path.stem:
            text = f"{dataset.name!r} is not the file's name; call it {path.stem}, or the file {dataset.name}.yaml"
            faults.append(Fault(path, line_of(path, "name"), "name", text))
        if dataset.prefix in owners:
            first = owners[dataset.prefix]
            text = f"{dataset.prefix!r} is the prefix of {first}:{line_of(first, 'prefix')} already"
            faults.append(Fault(path, line_of(path, "prefix"), "prefix", text))
        owners.setdefault(dataset.prefix, path)
        datasets[dataset.name] = dataset
    if faults:
        raise DatasetError("\n".join(str(fault) for fault in sorted(faults)))
    return datasets


def dataset_of(datasets: Mapping[str, Dataset], key: str) -> Dataset | None:
    """The dataset whose prefix claims `key` (`incoming/…`): the longest one. None when none does."""
    rest = key.removeprefix(INCOMING)
    claims = [dataset for dataset in datasets.values() if rest.startswith(dataset.prefix)]
    return max(claims, key=lambda dataset: len(dataset.prefix), default=None)


def _read(path: Path, faults: list[Fault]) -> Dataset | None:
    raw = read_mapping(path, faults)
    if raw is None:
        return None
    try:
        dataset = Dataset.model_validate(raw)
        if not dataset.infer:
            return dataset
        columns = [column.model_dump() for column in _inferred(path, dataset)]
        # Validated anew: only now can the index's columns be held against the dataset's.
        return Dataset.model_validate({**raw, "infer": False, "columns": columns})
    except ValidationError as error:
        faults.extend(faults_of(path, error))
    except (ValueError, OSError, BadFileError) as error:
        faults.append(Fault(path, line_of(path, "sample"), "sample", str(error)))
    return None


def _inferred(path: Path, dataset: Dataset) -> Any:
    """Raises ValueError with what is wrong with the sample."""
    folder = path.parent.resolve()
    sample = (folder / str(dataset.sample)).resolve()
    if not sample.is_relative_to(folder):
        raise ValueError(f"{dataset.sample} lies outside {path.parent}/, which alone is deployed")
    if not sample.is_file():
        raise ValueError(f"{dataset.sample} is not in {path.parent}/")
    return infer_columns(
        read_sample(sample, dataset.compression_of(sample.name), dataset.format, dataset.csv.encoding),
        dataset.format,
        dataset.csv,
        dataset.null_markers,
    )


def read_sample(path: Path, compression: Compression, format: Format, encoding: str = "utf-8") -> str:
    """The first MiB of a file as text, without the line that it cuts. An array may be one line: there it is kept.

    Raises ValueError when it is no such text, and BadFileError when it can't be decompressed.
    """
    with path.open("rb") as packed:
        stream = decompressed(packed, compression)
        head = b""
        while len(head) <= MAX_SAMPLE_BYTES and (more := stream.read(MAX_SAMPLE_BYTES + 1 - len(head))):
            head += more
    cut = len(head) > MAX_SAMPLE_BYTES
    if cut and format is not Format.JSON:
        head = head[: head.rfind(b"\n", 0, MAX_SAMPLE_BYTES) + 1]
    try:
        return codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)().decode(head, not cut)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not {encoding}, at byte {error.start}") from None
