from __future__ import annotations

from tests.engines import told


def test_what_ran_is_told_apart_into_real_and_stand_in() -> None:
    lines = told(
        ["tests/contract/test_ledger_contract.py::test_a[postgres]", "tests/contract/test_x.py::test_b[s3]"], []
    )

    assert "real      PostgreSQL 18, the wheel's: 1 passed" in lines
    assert any(line.startswith("stood in  AWS") and line.endswith(": 1 passed") for line in lines)


def test_a_real_engine_that_no_test_ran_on_is_named() -> None:
    lines = told(["tests/contract/test_ledger_contract.py::test_a[postgres_15]"], [])

    assert "not run   PostgreSQL 18, the wheel's" in lines
    assert "real      PostgreSQL 15, Debian's, by TLS: 1 passed" in lines


def test_each_reason_for_skipping_is_told_once_with_its_count() -> None:
    lines = told([], ["Skipped: no node", "Skipped: no node", "Skipped: not root"])

    assert lines[-2:] == ["skipped   no node: 2", "skipped   not root: 1"]
