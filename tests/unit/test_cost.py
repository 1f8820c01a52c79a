"""The price of a run of files: counted requests times list prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from penstock.local import cost as module
from penstock.local.cost import Prices, StreamWork, Work, cost, cost_of_stream, total
from penstock.model.errors import PermanentError

NOTHING = Work(
    files=0,
    moved=0,
    opened=0,
    runs=0,
    batches=0,
    listings=0,
    documents_written=0,
    invocations=0,
    gb_seconds=0.0,
    transitions=0,
)
NO_EVENTS = StreamWork(records=0, writes=0, letters=0, notices=0, invocations=0, gb_seconds=0.0)
MILLION = 1_000_000
TABLE = Path(module.__file__).with_name("prices.yaml")


def dollars(work: Work) -> dict[str, float]:
    return {line.service: line.dollars for line in cost(work)}


def test_nothing_costs_nothing() -> None:
    assert total(cost(NOTHING)) == 0


def test_a_million_files_cost_ten_dollars_to_put_and_move() -> None:
    assert dollars(replace(NOTHING, files=MILLION, moved=MILLION))["S3"] == pytest.approx(5 + 5)


@pytest.mark.parametrize(
    ("work", "service", "expected"),
    [
        (replace(NOTHING, opened=MILLION), "S3", 0.40),
        (replace(NOTHING, documents_written=MILLION), "S3", 5.00),
        (replace(NOTHING, transitions=MILLION), "Step Functions", 25.00),
        (replace(NOTHING, gb_seconds=MILLION), "Lambda", 16.6667),
        (replace(NOTHING, invocations=MILLION), "Lambda", 0.20),
        (replace(NOTHING, files=MILLION), "SQS", 1.2 * 0.40),  # Lambda takes ten at once, and deletes them.
        (replace(NOTHING, runs=MILLION), "SNS", 0.50),
        (replace(NOTHING, runs=MILLION), "DynamoDB", 9 * 0.625),
        (replace(NOTHING, kick_offs=MILLION), "DynamoDB", 2 * 0.625),
        (replace(NOTHING, gb_seconds=MILLION, arm=True), "Lambda", 13.3334),
        (replace(NOTHING, log_bytes=2 * 10**9), "Logs", 1.00),
        (replace(NOTHING, traces=MILLION), "X-Ray", 5.00),
    ],
)
def test_each_service_is_priced_by_what_it_bills(work: Work, service: str, expected: float) -> None:
    assert dollars(work)[service] == pytest.approx(expected)


def test_a_listing_costs_a_request_for_each_thousand_files_that_wait() -> None:
    few = dollars(replace(NOTHING, listings=MILLION))
    many = dollars(replace(NOTHING, listings=MILLION, files=2001))

    assert few["S3"] == pytest.approx(5.00)
    assert many["S3"] == pytest.approx(15.00 + 2001 * 5e-6)


def test_every_line_says_what_was_counted() -> None:
    lines = {line.service: line.what for line in cost(replace(NOTHING, files=383, moved=383, transitions=240))}

    assert lines["S3"] == "383 PUT, 383 COPY, 0 GET, 0 LIST"
    assert lines["Step Functions"] == "240 transitions"


@pytest.mark.parametrize(
    ("work", "service", "expected"),
    [
        (replace(NO_EVENTS, records=MILLION), "Kinesis", 0.014),
        (replace(NO_EVENTS, writes=MILLION), "DynamoDB", 2 * 0.625),
        (replace(NO_EVENTS, invocations=MILLION), "Lambda", 0.20),
        (replace(NO_EVENTS, gb_seconds=MILLION), "Lambda", 16.6667),
        (replace(NO_EVENTS, letters=MILLION), "SQS", 0.40),
        (replace(NO_EVENTS, notices=MILLION), "SNS", 0.50),
    ],
)
def test_events_are_priced_by_what_is_billed_of_them(work: StreamWork, service: str, expected: float) -> None:
    lines = {line.service: line.dollars for line in cost_of_stream(work)}

    assert lines[service] == pytest.approx(expected)
    assert sum(lines.values()) == lines[service]


def test_a_table_of_ones_own_replaces_the_prices(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(TABLE.read_text().replace("transition: {dollars: 0.025", "transition: {dollars: 0.05"))

    lines = cost(replace(NOTHING, transitions=MILLION), Prices.read(own))

    assert total(lines) == pytest.approx(50)


@pytest.mark.parametrize(
    "wrong",
    [
        "no table",
        "region: x\nas_of: y\nprices: {s3_put: {dollars: much, for: 1}}",
        TABLE.read_text().replace("s3_put: {dollars: 0.005", "s3_put: {dollars: -1"),
        TABLE.read_text().replace("unit: transitions, ", ""),
    ],
)
def test_what_is_no_table_of_prices_is_refused_and_says_what_one_looks_like(tmp_path: Path, wrong: str) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(wrong)

    with pytest.raises(PermanentError, match=r"no table of prices.*prices.yaml"):
        Prices.read(own)


def test_a_table_that_lacks_a_price_names_it(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text("\n".join(line for line in TABLE.read_text().splitlines() if "sns_publish" not in line))

    with pytest.raises(PermanentError, match="says nothing of sns_publish"):
        Prices.read(own)
