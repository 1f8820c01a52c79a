"""Every case of the corpus: what is loaded, what is rejected, what is quarantined, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from tests.conftest import Postgres
from tests.corpus.case import Case, Rejected
from tests.corpus.cases import CASES
from tests.corpus.counting import rows_of
from tests.corpus.datasets import DATASETS
from tests.corpus.page import PAGE, page
from tests.corpus.world import Found, run_all, world

from penstock.flows.set_aside import REJECTS
from penstock.model.arrivals import MAX_KEY_BYTES
from penstock.model.datasets import Format
from penstock.model.outcomes import Reject, Settlement

pytestmark = pytest.mark.xdist_group("corpus")

JARGON = re.compile(
    r"Traceback|Exception|Error\b|psycopg|orjson|codec|python|NoneType|object at 0x|errno|sqlstate|stack depth",
    re.IGNORECASE,
)
ADVICE = re.compile(r"\b(send|mend|write|raise|split|compress|name|say|change|decompress)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Results:
    cases: dict[str, Found]
    neighbours: list[Found]


@pytest.fixture(scope="module")
def results(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Results]:
    """Of the cases that are asked for: all, unless a test of one case was named."""
    named = [getattr(item, "callspec", None) for item in request.session.items if "results" in _fixtures_of(item)]
    wanted = CASES if None in named else [one.params["case"] for one in named if one]
    with world(postgres) as made:
        yield Results(*run_all(made, dict.fromkeys(wanted)))


def _fixtures_of(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


@pytest.fixture(params=CASES, ids=lambda case: case.what)
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


def test_the_names_of_cases_differ() -> None:
    assert len({case.what for case in CASES}) == len(CASES)


def test_good_files_between_bad_ones_are_loaded_and_indexed(results: Results) -> None:
    assert len(results.neighbours) > len(CASES)
    for good in results.neighbours:
        assert (good.settled.settlement, len(good.rows), len(good.documents)) == (Settlement.PROCESSED, 2, 2), good


def test_a_bad_file_ends_as_the_corpus_says(case: Case, results: Results) -> None:
    found = results.cases[case.what]

    assert (len(found.rows), found.settled.reason) == (case.outcome.rows, case.outcome.reason)
    assert tuple(Rejected(one["line"], one["column"], one["reason"]) for one in found.rejects) == case.outcome.rejects


def test_rows_are_loaded_or_rejected_and_documents_are_the_loaded_rows(case: Case, results: Results) -> None:
    found = results.cases[case.what]

    if case.outcome.reason:
        assert (found.rows, found.documents) == ([], [])
        assert found.settled.settlement is Settlement.FAILED
    else:
        assert len(found.rows) + len(found.rejects) == rows_of(case.data, case.key, DATASETS[case.dataset])
        assert found.settled.settlement is Settlement.PROCESSED
        told = found.settled.rows if DATASETS[case.dataset].table else found.settled.documents
        assert len(found.documents) == len(found.rows) == told
        if case.dataset != "types":
            assert sorted(int(one["id"]) for one in found.rows) == sorted(int(one["id"]) for one in found.documents)


def test_the_file_is_kept_as_it_came_and_what_was_wrong_stands_beside_it(case: Case, results: Results) -> None:
    found = results.cases[case.what]

    assert found.bytes == case.data
    assert len(found.settled.settled_key.encode()) <= MAX_KEY_BYTES
    assert (found.reason.get("reason", ""), found.reason.get("key", found.arrival.key)) == (
        case.outcome.reason,
        found.arrival.key,
    )
    for reject in found.rejects:
        assert reject["file"] == found.arrival.key
        assert 0 < len(reject["raw"]) <= Reject.MAX_RAW
        if DATASETS[case.dataset].format is not Format.PARQUET:  # It holds no text of a row.
            assert reject["raw"].encode() in case.data


def test_a_reason_is_an_operator_s_and_quotes_no_row(case: Case) -> None:
    reasons = [case.outcome.reason, *(reject.reason for reject in case.outcome.rejects)]

    for reason in filter(None, reasons):
        assert not JARGON.search(reason), reason
        assert not re.search(r"Ada|Grace|Mary|Quixote|1815", reason), reason
        assert len(reason) < 400
    if case.outcome.reason:
        assert ADVICE.search(case.outcome.reason), case.outcome.reason


def test_rejects_are_named_after_the_file_that_they_are_of(results: Results) -> None:
    failed = results.cases["too few columns where no row may fail"].settled.settled_key

    assert failed.startswith("failed/strict/")
    assert REJECTS == ".rejects.jsonl"


def test_the_page_of_bad_input_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.corpus`"
