"""The demo's files are the real data, whole, and three that are broken in the ways they say."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from penstock.local.demo.files import BROKEN, DemoFile, demo_files, rows_in


@pytest.fixture(scope="module")
def files() -> list[DemoFile]:
    return demo_files()


def test_a_year_has_all_the_rows_of_the_data(files: list[DemoFile]) -> None:
    rows = Counter[str]()
    for file in files:
        if not file.broken:
            rows[file.dataset] += rows_in(file) or 0

    assert rows == {"flights": 336_776, "weather": 26_115, "planes": 3_322, "airports": 1_458, "airlines": 16}


def test_there_is_a_file_for_each_day_and_every_second_one_is_gzipped(files: list[DemoFile]) -> None:
    days = [file.key for file in files if file.dataset == "flights" and not file.broken]

    assert len(set(days)) == 365
    assert sum(key.endswith(".csv.gz") for key in days) == 182
    assert sum(key.endswith(".csv") for key in days) == 183


def test_no_two_files_are_identical(files: list[DemoFile]) -> None:
    assert len({file.body for file in files}) == len(files)


def test_weather_has_null_for_na_and_numbers_for_numbers(files: list[DemoFile]) -> None:
    first = next(file for file in files if file.dataset == "weather")

    row = json.loads(first.body.splitlines()[0])

    assert row["wind_gust"] is None
    assert row["temp"] == 39.02
    assert row["origin"] == "EWR"
    assert b'"NA"' not in first.body


def test_three_files_are_broken_each_in_its_way(files: list[DemoFile]) -> None:
    broken = {file.key.rpartition("/")[2]: file for file in files if file.broken}

    assert broken.keys() == BROKEN.keys()
    assert rows_in(broken["truncated.csv.gz"]) is None
    with pytest.raises(EOFError):
        gzip.decompress(broken["truncated.csv.gz"].body)
    assert b"departure_delay" in broken["header-changed.csv"].body.splitlines()[0]
    assert broken["text-for-a-number.csv"].body.count(b",late,") == 1


def test_a_few_days_are_a_slice_of_the_year_and_the_same_each_time(files: list[DemoFile]) -> None:
    few = demo_files(days=6)

    assert [file for file in few if file not in files] == []
    assert Counter(file.dataset for file in few) == {
        "flights": 6 + 3,
        "weather": 1,
        "planes": 1,
        "airports": 1,
        "airlines": 1,
    }
