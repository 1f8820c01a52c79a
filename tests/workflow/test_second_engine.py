"""Two interpreters that share no line read the definitions alike, but for what differences.py says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from tests.conftest import free_port
from tests.workflow.definition import BACKFILL, REBUILD_VIEWS, REPOSITORY, definition
from tests.workflow.differences import DIFFERENCES, UNLIKE, Difference, for_moto
from tests.workflow.engines import MOCKS, Machine, client_of, embedded
from tests.workflow.reading import Reading

pytestmark = pytest.mark.xdist_group("second engine")

CASES = {name: machine["TestCases"] for name, machine in json.loads(MOCKS.read_text())["StateMachines"].items()}
DEFINITIONS = {"Ingest": definition(), "Backfill": definition(BACKFILL), "RebuildViews": definition(REBUILD_VIEWS)}
GIVEN: dict[str, dict[str, Any]] = {
    "Ingest": {"plan": "p-1", "batches": [0]},
    "Backfill": {"plan": "b-backfill", "part": 0},
    "RebuildViews": {"run": "p-1", "dataset": "flights", "processed": "processed/flights/"},
}
OBJECTS = {
    "plans/b-backfill/items/00000.json": json.dumps(
        [{"plan": "b-backfill-00000-00", "batch": 0}, {"plan": "b-backfill-00000-00", "batch": 1}]
    )
}


@dataclass(frozen=True)
class Run:
    machine: str
    case: str
    given: dict[str, Any]

    def __str__(self) -> str:
        batches = self.given.get("batches", [0])
        return f"{self.machine} {self.case}" + ("" if batches == [0] else f" of {len(batches)}")


def _batches(case: str, count: int) -> Run:
    return Run("Ingest", case, {"plan": "p-1", "batches": list(range(count))})


RUNS = [Run(machine, case, GIVEN[machine]) for machine, cases in CASES.items() for case in cases]
RUNS += [_batches("HappyPath", 0), _batches("HappyPath", 3), _batches("Parquet", 2), _batches("SearchFails", 2)]
AS_THEY_ARE = {"Backfill, a whole percentage": definition(BACKFILL), "Backfill, results written": definition(BACKFILL)}
AS_THEY_ARE["Backfill, results written"]["States"]["Work the part"]["ToleratedFailurePercentage"] = 5.0
RESULTS_WRITTEN = Run("Backfill, results written", "TwoParts", GIVEN["Backfill"])


@dataclass(frozen=True)
class Readings:
    of_ministack: dict[str, Reading]
    of_moto: dict[str, Reading]
    refused: dict[str, str]


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Readings:
    command = [sys.executable, "-m", "tests.workflow.second_engine"]
    asked = {"machines": DEFINITIONS | AS_THEY_ARE | {"Backfill": for_moto(definition(BACKFILL))}, "objects": OBJECTS}
    runs = [vars(run) for run in [*RUNS, RESULTS_WRITTEN]]
    folder = tmp_path_factory.mktemp("second")
    (folder / "asked.json").write_text(json.dumps(asked | {"runs": runs}))
    with (
        (folder / "asked.json").open() as given,
        (folder / "told.json").open("w") as out,
        subprocess.Popen(command, stdin=given, stdout=out, cwd=REPOSITORY) as second,
    ):
        try:  # The second works while the first does.
            with embedded(free_port(), folder) as endpoint:
                of_ministack = dict(_of_ministack(endpoint))
            assert second.wait(240) == 0
        finally:
            second.kill()
    told = json.loads((folder / "told.json").read_text())
    return Readings(of_ministack, dict(_of_moto(told["runs"])), told["refused"])


def _of_ministack(endpoint: str) -> Iterator[tuple[str, Reading]]:
    s3: Any = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    s3.create_bucket(Bucket="landing")
    for name, text in OBJECTS.items():
        s3.put_object(Bucket="landing", Key=name, Body=text)
    machines = {name: Machine(client_of(endpoint), one, name) for name, one in DEFINITIONS.items()}
    for run in RUNS:
        machine = machines[run.machine]
        done = machine.execute(run.case, run.given)
        reading = Reading(DEFINITIONS[run.machine], machine.last.rsplit(":", 1)[-1])
        reading.end(done.status, done.error, done.cause, done.output)
        for history in [done.history, *(child["history"] for child in machine.children())]:
            reading.history(history)
        yield str(run), reading


def _of_moto(told: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Reading]]:
    for run, done in zip([*RUNS, RESULTS_WRITTEN], told, strict=True):
        reading = Reading(DEFINITIONS[run.machine.split(",")[0]], done["name"])
        reading.end(done["status"], done["error"], done["cause"], done["output"])
        for history in done["histories"]:
            reading.history(history)
        yield str(run), reading


@pytest.mark.parametrize("run", [str(run) for run in RUNS])
def test_both_take_the_same_path_with_the_same_answers_to_the_same_end(readings: Readings, run: str) -> None:
    ministack, moto = readings.of_ministack[run].lines, readings.of_moto[run].lines
    assert ministack

    for known in (difference for difference in DIFFERENCES if run in difference.cases):
        before = ministack - moto, moto - ministack
        ministack, moto = _without(ministack, known), _without(moto, known)
        assert (ministack - moto, moto - ministack) != before, f"no difference any more: {known.about}"

    assert (ministack - moto, moto - ministack) == (Counter(), Counter()), "MiniStack's own lines, and moto's"


def _without(lines: Counter[str], known: Difference) -> Counter[str]:
    changed: Counter[str] = Counter()
    for line, count in lines.items():
        changed[known.taken_out(line)] += count
    return changed


def test_moto_still_wants_a_percentage_with_a_point(readings: Readings) -> None:
    assert list(readings.refused) == ["Backfill, a whole percentage"]
    assert "ToleratedFailurePercentage" in readings.refused["Backfill, a whole percentage"]


def test_moto_still_looks_for_the_result_writers_paths_in_the_results(readings: Readings) -> None:
    written = readings.of_moto[str(RESULTS_WRITTEN)].lines

    assert any("'$.plan' could not be found in the input '[{" in line for line in written)


def test_each_difference_is_a_row_of_the_page_and_no_row_is_of_none() -> None:
    page = (REPOSITORY / "docs" / "testing.md").read_text()
    table = page.split("<!-- differences -->\n")[1].strip().splitlines()

    assert table[2:] == [known.row() for known in (*DIFFERENCES, *UNLIKE)]
    assert {case for known in DIFFERENCES for case in known.cases} <= {str(run) for run in RUNS}
