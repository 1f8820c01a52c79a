"""Which files are put, and under which keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.local.put import plan_puts
from penstock.model.dataset_files import load_datasets
from penstock.model.errors import PermanentError

FLIGHTS = load_datasets(Path(__file__).parents[2] / "datasets")["flights"]


def write(path: Path, text: str = "a\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_keeps_its_name_below_the_dataset_s_prefix(tmp_path: Path) -> None:
    (put,) = plan_puts([write(tmp_path / "deep" / "a b+%ü.csv", "abc\n")], FLIGHTS)

    assert put.key == "incoming/flights/a b+%ü.csv"
    assert put.size == 4


def test_a_folder_keeps_its_structure(tmp_path: Path) -> None:
    write(tmp_path / "2013" / "01" / "a.csv")
    write(tmp_path / "2013" / "02" / "a.csv")

    keys = [put.key for put in plan_puts([tmp_path], FLIGHTS)]

    assert keys == ["incoming/flights/2013/01/a.csv", "incoming/flights/2013/02/a.csv"]


def test_two_files_that_would_get_one_key_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "x" / "a.csv"), write(tmp_path / "y" / "a.csv")

    with pytest.raises(PermanentError, match=r"would both become incoming/flights/a\.csv"):
        plan_puts([one, other], FLIGHTS)


def test_a_key_that_s3_would_refuse_is_refused_before_anything_is_put(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(6):
        deep = deep / ("d" * 180)

    with pytest.raises(PermanentError, match="more than 1024 bytes"):
        plan_puts([write(deep / "a.csv") and tmp_path], FLIGHTS)


def test_what_is_not_there_and_what_is_empty_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="there is no such file"):
        plan_puts([tmp_path / "nowhere"], FLIGHTS)
    with pytest.raises(PermanentError, match="there are no files to put"):
        plan_puts([tmp_path], FLIGHTS)
