"""Parquet's own COPY on the stand-in: what it is given, what it is not trusted with, and who reads the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import load, rejects
from tests.corpus.parquet_files import written
from tests.integration.standin import Standin, batch_of

from penstock.adapters.redshift.staging import PARQUET_COPIES
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.errors import ReaderMissingError
from penstock.model.outcomes import Verdict


@pytest.fixture
def standin(postgres: Postgres) -> Iterator[Standin]:
    with ExitStack() as stack:
        yield Standin(stack, postgres.superuser)


def parquet_of(standin: Standin, **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    return standin.dataset(columns=columns, **{"format": "parquet", **changes})


def put(standin: Standin, dataset: Dataset, name: str, ids: list[int | None], **write: Any) -> Arrival:
    return standin.store.put(f"incoming/{dataset.prefix}{name}.parquet", file_of(ids, **write))


def file_of(ids: list[int | None], **write: Any) -> bytes:
    return written({"name": pa.array(["x"] * len(ids)), "id": pa.array(ids, pa.int32())}, **write)


def copies(standin: Standin) -> list[str]:
    return [text for texts in standin.loads for text in texts if text.startswith("COPY") and "PARQUET" in text]


def test_files_of_one_shape_are_one_copy_by_place_with_a_manifest_that_says_their_length(standin: Standin) -> None:
    dataset = parquet_of(standin)
    files = [put(standin, dataset, str(number), [number]) for number in range(3)]

    outcomes = load(standin.warehouse, dataset, standin.store, *files)

    [copy] = copies(standin)
    before, _, uri = copy.partition(" FROM 's3://landing/")
    key, _, options = uri.partition("' ")
    assert before == 'COPY "penstock_parquet_0"'
    assert options.partition("role/copy' ")[2] == "FORMAT AS PARQUET MANIFEST STATUPDATE OFF"
    assert [
        (entry["mandatory"], entry["meta"]["content_length"]) for entry in standin.store.get_json(key)["entries"]
    ] == [(True, file.size) for file in files]
    assert {outcomes[file.id].rows for file in files} == {1}
    assert standin.counts(dataset) == {file.id: 1 for file in files}


def test_a_null_that_the_footer_tells_of_costs_no_copy(standin: Standin) -> None:
    dataset = parquet_of(standin, max_reject_ratio=0.5)
    file = put(standin, dataset, "a", [1, None])

    outcomes = load(standin.warehouse, dataset, standin.store, file)

    assert (outcomes[file.id].rows, outcomes[file.id].rejects) == (1, 1)
    assert (len(standin.loads), copies(standin)) == (1, [])


def test_a_null_that_it_keeps_quiet_about_fails_the_copy_and_its_file_alone_is_read(standin: Standin) -> None:
    dataset = parquet_of(standin, max_reject_ratio=0.5)
    quiet = put(standin, dataset, "quiet", [1, None], write_statistics=False)
    good = put(standin, dataset, "good", [1, 2])

    outcomes = load(standin.warehouse, dataset, standin.store, quiet, good)

    assert (outcomes[quiet.id].rows, outcomes[quiet.id].rejects, outcomes[good.id].rows) == (1, 1, 2)
    assert len(copies(standin)) == 2
    assert [(one.line, one.column) for one in rejects(standin.warehouse, dataset, quiet)] == [(2, "id")]


def test_a_footer_that_miscounts_loads_nothing_by_copy(standin: Standin) -> None:
    dataset = parquet_of(standin)
    data = bytearray(file_of(list(range(1000))))
    footer = data.rindex(b"PAR1") - 4 - int.from_bytes(data[-8:-4], "little")
    data[data.index(b"\xd0\x0f", footer) : data.index(b"\xd0\x0f", footer) + 2] = b"\xd2\x0f"  # 1,001 rows.
    file = standin.store.put(f"incoming/{dataset.prefix}a.parquet", bytes(data))

    outcomes = load(standin.warehouse, dataset, standin.store, file)

    assert outcomes[file.id].rows == 1000
    assert len(copies(standin)) == 1
    assert len(standin.loads) == 2


def test_each_file_that_may_be_replaced_has_a_copy_of_its_own_and_the_smallest_are_read(standin: Standin) -> None:
    dataset = parquet_of(standin, on_overwrite="replace")
    files = [put(standin, dataset, str(number), [1] * (number + 1)) for number in range(PARQUET_COPIES + 2)]

    outcomes = load(standin.warehouse, dataset, standin.store, *files)

    assert [outcomes[file.id].rows for file in files] == list(range(1, len(files) + 1))
    assert len(copies(standin)) == PARQUET_COPIES
    assert max(len(texts) for texts in standin.loads) <= 40
    assert standin.counts(dataset) == {file.id: number for number, file in enumerate(files, 1)}


def test_without_pyarrow_a_next_round_is_left_and_no_file_is_blamed(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = parquet_of(standin)
    batch = batch_of(dataset, put(standin, dataset, "a", [1, None], write_statistics=False))
    progress = standin.warehouse.begin(batch, dataset, standin.store)
    standin.wait(progress)

    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ReaderMissingError):
            standin.warehouse.poll(batch, dataset, progress.handle)
    undecided = standin.warehouse.outcomes(dataset, batch.arrivals)
    standin.ends(dataset, batch, progress)

    assert undecided == {}
    [decided] = standin.warehouse.outcomes(dataset, batch.arrivals).values()
    assert decided.verdict is Verdict.QUARANTINED


def test_a_manifest_without_lengths_is_refused(standin: Standin) -> None:
    """As Redshift does."""
    dataset = parquet_of(standin)
    file = put(standin, dataset, "a", [1])
    batch = batch_of(dataset, file)
    standin.open.clear()
    progress = standin.warehouse.begin(batch, dataset, standin.store)
    [key] = [key for key in standin.store.keys("plans/copies/") if "manifest" in key]
    manifest = standin.store.get_json(key)
    del manifest["entries"][0]["meta"]
    standin.store.put_json(key, manifest)
    standin.open.set()

    error = standin.wait(progress)["Error"]

    assert "content_length" in error
