"""What `datasets/views/*.yaml` may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.model.dataset_files import load_datasets
from penstock.model.errors import DatasetError
from penstock.model.views import View, load_views

DATASET = """
name: flights
prefix: flights/
format: csv
columns: [{name: carrier, type: text}]
table: flights
"""
VIEW = """name: late
view: reports.late
of: [flights]
key: [carrier]
query: |
  WITH one AS (SELECT 1) SELECT carrier FROM flights;
"""


def _load(folder: Path, view: str, name: str = "late.yaml") -> dict[str, View]:
    (folder / "flights.yaml").write_text(DATASET)
    (folder / "views").mkdir()
    (folder / "views" / name).write_text(view)
    return load_views(folder, load_datasets(folder))


def test_a_view_is_read_with_the_schema_that_it_is_in_and_without_the_semicolon(tmp_path: Path) -> None:
    view = _load(tmp_path, VIEW)["late"]

    assert view.view.qualified == "reports.late"
    assert view.of == ("flights",)
    assert view.query == "WITH one AS (SELECT 1) SELECT carrier FROM flights"


def test_a_folder_without_views_has_none(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_text(DATASET)

    assert load_views(tmp_path, load_datasets(tmp_path)) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("of: [flights]", "of: [flihgts]"), "late.yaml:3: of.0: there is no dataset flihgts with a table"),
        (("of: [flights]", "of: []"), "late.yaml:3: of"),
        (("key: [carrier]", "keys: [carrier]"), "late.yaml:4: keys: is no field here; did you mean key?"),
        (("  WITH one AS (SELECT 1) SELECT", "  DELETE"), "is no SELECT: begin it with SELECT or WITH"),
        (("  WITH one AS (SELECT 1) SELECT carrier FROM flights;", "  ;"), "is no SELECT"),
        (("name: late", "name: other"), "'other' is not the file's name; call it late"),
        (("name: late", "name: late\nname: late"), "stands here again; line 1 has it"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_path(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(DatasetError) as refused:
        _load(tmp_path, VIEW.replace(*change))

    assert said in str(refused.value)


def test_the_repositorys_own_views_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "datasets"

    assert "late_by_airport" in load_views(folder, load_datasets(folder))
