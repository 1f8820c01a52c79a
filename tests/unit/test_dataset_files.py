"""Each refusal names its file, its line and the place in the YAML; what is good loads."""

from __future__ import annotations

import gzip
from pathlib import Path
from textwrap import dedent

import pytest

from penstock.model.dataset_files import MAX_SAMPLE_BYTES, dataset_of, load_datasets
from penstock.model.datasets import ColumnType
from penstock.model.errors import DatasetError

REPOSITORY = Path(__file__).parents[2]

GOOD = """\
name: flights
prefix: flights/
format: csv
columns:
  - {name: year, type: smallint}
  - name: dest
    type: text
table: public.flights
index: {name: flights, fields: [dest]}
batch: {max_bytes: 64 MiB}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(dedent(text))
    return path


def refusal(folder: Path) -> list[str]:
    with pytest.raises(DatasetError) as refused:
        load_datasets(folder)
    return [line.removeprefix(f"{folder}/") for line in str(refused.value).splitlines()]


def test_the_repository_s_own_datasets_load() -> None:
    datasets = load_datasets(REPOSITORY / "datasets")

    assert set(datasets) == {"airlines", "airports", "departures", "flights", "planes", "weather"}
    assert [column.name for column in datasets["airlines"].columns] == ["carrier", "name"]
    assert len(datasets["flights"].columns) == 19


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("year, type: smallint", "year, type: integre", "flights.yaml:5: columns.0.type: 'integre' is not one of text"),
        ("year, type: smallint", "year, type: integre", "did you mean integer?"),
        ("    type: text", "    type: txet", "flights.yaml:7: columns.1.type: 'txet' is not one of text"),
        ("table: public", "tabel: public", "flights.yaml:8: tabel: is no field here; did you mean table?"),
        ("max_bytes", "max_byte", "flights.yaml:10: batch.max_byte: is no field here; did you mean max_bytes?"),
        ("64 MiB", "64 MoB", "flights.yaml:10: batch.max_bytes: '64 MoB' is no size; write a number of bytes"),
        ("64 MiB", "0", "flights.yaml:10: batch.max_bytes: 0: input should be greater than 0"),
        ("[dest]", "[dest, city]", "flights.yaml:9: index.fields.1: city is no column of the dataset"),
        ("name: dest", "name: year", "flights.yaml:6: columns.1.name: year is taken by column 0"),
        ("name: dest", "name: penstock_arrival", "flights.yaml:6: columns.1.name: penstock_arrival is Penstock's own"),
        ("name: dest", "name: Dest", "flights.yaml:6: columns.1.name: 'Dest' does not match"),
        ("name: dest", "name: no", "flights.yaml:6: columns.1.name: false is a truth to YAML 1.1"),
        ("prefix: flights/", "prefix: flights", "flights.yaml:2: prefix: a prefix is a folder below incoming/"),
        ("prefix: flights/\n", "", "flights.yaml:1: prefix: is missing"),
        ("format: csv", "format: parkett", "flights.yaml:3: format: 'parkett' is not one of csv, jsonl"),
        ("name: flights\nprefix", "name: flight\nprefix", "flights.yaml:1: name: 'flight' is not the file's name"),
        ("format: csv", "format: csv\nformat: jsonl", "flights.yaml:4: format: stands here again; line 3 has it"),
        (
            "    type: text",
            "    type: text\n    type: date",
            "flights.yaml:8: columns.1.type: stands here again; line 7",
        ),
        ("format: csv", "format: [csv", "is no YAML: "),
        ("format: csv", "format: csv\nkick_off: {}", "flights.yaml:4: kick_off: name exactly one of"),
        *(
            ("index: {name: flights, fields: [dest]}", new, f"flights.yaml:9: upsert{words}")
            for new, words in (
                ("upsert: {key: [city], order_by: year}", ".key.0: city is no column of the dataset"),
                ("upsert: {key: [year], order_by: year}", ".key.0: year can be null, and null can't be compared"),
                ("upsert: {key: [], order_by: year}", ".key: "),
                ("upsert: {key: [year]}", ".order_by: is missing"),
            )
        ),
        *(
            ("index: {name: flights, fields: [dest]}", new, f"flights.yaml:9: event_id: {words}")
            for new, words in (
                ("event_id: city", "city is no column of the dataset"),
                ("event_id: year", "year can be null, and null can't be compared"),
                ("event_id: [year]", "['year'] is no text"),
                ("event_id: year\nupsert: {key: [year], order_by: year}", "upsert tells rows apart by its key"),
            )
        ),
        (
            "batch:",
            "upsert: {key: [year], order_by: year}\nbatch:",
            "flights.yaml:9: index: a document takes another's place as its row does: say id_columns: [year]",
        ),
        ("format: csv", 'format: csv\ncsv: {delimiter: "\\""}', "flights.yaml:4: csv: delimiter, quote and escape"),
        ("format: csv", "format: csv\ninfer: true", "flights.yaml:4: infer: name the columns, or set infer: true"),
        ("format: csv", "format: csv\nnull_markers: []", "flights.yaml:4: null_markers: null_markers names at least"),
        ("format: csv", "format: csv\ncsv: {encoding: utf8}", "csv.encoding: 'utf8' is not one of utf-8, latin-1"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_path(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    write(tmp_path, "flights", GOOD.replace(old, new))

    assert expected in "\n".join(refusal(tmp_path))


def test_all_faults_of_all_files_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "flights", GOOD.replace("smallint", "int").replace("64 MiB", "much"))
    write(tmp_path, "airports", GOOD.replace("flights", "airports").replace("csv", "cvs"))

    told = refusal(tmp_path)

    assert [line.split(" ")[0] for line in told] == ["airports.yaml:3:", "flights.yaml:5:", "flights.yaml:10:"]


def test_a_prefix_used_twice_is_refused_and_both_places_are_named(tmp_path: Path) -> None:
    write(tmp_path, "flights", GOOD)
    write(tmp_path, "planes", GOOD.replace("name: flights\nprefix", "name: planes\n# the same\nprefix"))

    (told,) = refusal(tmp_path)

    assert told == f"planes.yaml:3: prefix: 'flights/' is the prefix of {tmp_path}/flights.yaml:2 already"


def test_of_nested_prefixes_the_longest_claims_the_key(tmp_path: Path) -> None:
    write(tmp_path, "flights", GOOD)
    write(tmp_path, "delays", GOOD.replace("name: flights\n", "name: delays\n").replace("flights/", "flights/delays/"))

    datasets = load_datasets(tmp_path)

    claims = {
        "incoming/flights/a.csv": "flights",
        "incoming/flights/delays/a.csv": "delays",
        "incoming/flights/delays.csv": "flights",
    }
    for key, name in claims.items():
        claimed = dataset_of(datasets, key)
        assert claimed is not None
        assert claimed.name == name
    assert dataset_of(datasets, "incoming/flight/a.csv") is None
    assert dataset_of(datasets, "incoming/flights") is None


def test_a_folder_that_is_missing_or_empty_is_refused_rather_than_every_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        load_datasets(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"there is no \*.yaml in it"):
        load_datasets(tmp_path)


def test_a_file_that_would_be_passed_over_for_its_ending_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "flights", GOOD)
    (tmp_path / "planes.yml").write_text(GOOD)

    assert refusal(tmp_path) == ["planes.yml:1: call it .yaml: no other ending is read"]


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "flights.yaml").write_text(text)

    assert all(line.startswith("flights.yaml:1: ") for line in refusal(tmp_path))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flights.yaml").write_bytes(b"name: \xff\xfe\n")

    assert refusal(tmp_path)[0].startswith("flights.yaml:1: is no YAML: ")


INFERRED = """\
name: airlines
prefix: airlines/
format: csv
infer: true
sample: samples/one.csv
table: airlines
index: {name: airlines, id_columns: [carrier]}
"""


def test_columns_are_inferred_from_the_sample_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "one.csv").write_text("carrier,Fleet Size\n9E,12\nAA,\n")
    write(tmp_path, "airlines", INFERRED)

    columns = load_datasets(tmp_path)["airlines"].columns

    assert [(column.name, column.type, column.source) for column in columns] == [
        ("carrier", ColumnType.TEXT, None),
        ("fleet_size", ColumnType.INTEGER, "Fleet Size"),
    ]


def test_a_compressed_sample_is_read_to_its_first_mebibyte_and_its_cut_row_is_left_out(tmp_path: Path) -> None:
    rows = MAX_SAMPLE_BYTES // 11
    with gzip.open(tmp_path / "one.csv.gz", "wt") as sample:
        # The number that would make the column text lies beyond what is read.
        sample.write("carrier\n" + "1234567890\n" * rows + "oops\n" * 10)
    write(tmp_path, "airlines", INFERRED.replace("samples/one.csv", "one.csv.gz"))

    (column,) = load_datasets(tmp_path)["airlines"].columns

    assert column.type is ColumnType.INTEGER


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("samples/two.csv", "airlines.yaml:5: sample: samples/two.csv is not in"),
        ("../one.csv", "airlines.yaml:5: sample: ../one.csv lies outside"),
        ("samples/ragged.csv", "airlines.yaml:5: sample: row 2 has 1 fields where there are 2 columns"),
        ("samples/other.csv", "airlines.yaml:7: index.id_columns.0: carrier is no column of the dataset"),
        ("samples/cut.csv.gz", "airlines.yaml:5: sample: "),
        ("samples/latin.csv", "airlines.yaml:5: sample: latin.csv is not utf-8, at byte 8"),
    ],
)
def test_a_sample_that_gives_no_columns_is_refused(tmp_path: Path, sample: str, expected: str) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "ragged.csv").write_text("carrier,name\na,b\na\n")
    (tmp_path / "samples" / "other.csv").write_text("code\na\n")
    (tmp_path / "samples" / "cut.csv.gz").write_bytes(gzip.compress(b"carrier\na\n")[:-9])
    (tmp_path / "samples" / "latin.csv").write_bytes(b"carrier\n\xe9\n")
    write(tmp_path, "airlines", INFERRED.replace("samples/one.csv", sample))

    (told,) = refusal(tmp_path)

    assert told.startswith(expected)
