"""What `datasets/rates/*.yaml` may say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penstock.model.errors import DatasetError
from penstock.model.rate_files import load_rates
from penstock.model.rates import Rate

RATE = "name: departures\ntype: departure\nwindow: 10m\nlate: 3m\nat_least: 1\nunusual: 6\npast: 4h\n"


def _load(folder: Path, text: str, name: str = "departures.yaml") -> dict[str, Rate]:
    (folder / "rates").mkdir(exist_ok=True)
    (folder / "rates" / name).write_text(text)
    return load_rates(folder)


def test_a_rate_is_read_and_none_need_be_there(tmp_path: Path) -> None:
    assert load_rates(tmp_path) == {}

    rate = _load(tmp_path, RATE)["departures"]

    assert (rate.window, rate.late, rate.past) == (timedelta(minutes=10), timedelta(minutes=3), timedelta(hours=4))
    assert (rate.at_most, rate.at_least, rate.unusual, rate.calm) == (None, 1, 6, 3)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("window: 10m", "window: 90s", "departures.yaml:3: window: is no whole minutes"),
        ("at_least: 1\nunusual: 6\n", "", "says nothing to ring at"),
        ("at_least: 1", "at_least: 5\nat_most: 4", "departures.yaml:5: at_least: is more than at_most"),
        ("past: 4h", "past: 1h", "departures.yaml:7: past: is less than 8 windows"),
        ("past: 4h", "past: 7d", "departures.yaml:7: past: is more than 1000 windows"),
        ("name: departures", "name: arrivals", "is not the file's name"),
        ("unusual", "unsual", "unsual"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, before: str, after: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        _load(tmp_path, RATE.replace(before, after))


def test_a_type_is_watched_by_one_rate(tmp_path: Path) -> None:
    _load(tmp_path, RATE)

    with pytest.raises(DatasetError, match="is watched by departures already"):
        _load(tmp_path, RATE.replace("departures", "other"), "other.yaml")
