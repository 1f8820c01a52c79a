"""Memory does not grow with the file. 200 MiB by default; `PENSTOCK_BIG_FILE_MIB=2048` for the real thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of

_MEBIBYTES = int(os.environ.get("PENSTOCK_BIG_FILE_MIB", "200"))
_ROOT = Path(__file__).parents[2]

_ALLOWED = 256
"""MiB, the interpreter and its imports among them."""


@pytest.mark.parametrize(
    ("kind", "mebibytes"), [("plain", _MEBIBYTES), ("gzip", _MEBIBYTES), ("repaired", _MEBIBYTES // 4)]
)
def test_a_big_file_is_loaded_in_bounded_memory(postgres: Postgres, kind: str, mebibytes: int) -> None:
    dataset = dataset_of(max_reject_ratio=0.01)
    kit = PostgresKit(postgres.owner, postgres.loader)
    kit.apply(dataset)
    command = [sys.executable, "-m", "tests.integration.load_generated_file"]

    done = subprocess.run(
        [*command, postgres.loader, dataset.model_dump_json(by_alias=True), str(mebibytes), kind],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        check=False,
    )

    assert not done.returncode, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["rows"] == found["expected"] > 4_000 * mebibytes
    assert found["mib_peak"] < _ALLOWED, found
    assert dataset.table is not None
    with psycopg.connect(postgres.owner) as connection:
        connection.execute(f"DROP TABLE {dataset.table.qualified}")
