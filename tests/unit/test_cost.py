"""The price of a run of files: counted requests times list prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.local.cost import Work, cost, total

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
MILLION = 1_000_000


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
        (replace(NOTHING, files=MILLION), "SQS", 0.40),
        (replace(NOTHING, runs=MILLION), "SNS", 0.50),
        (replace(NOTHING, runs=MILLION), "DynamoDB", 5 * 0.625),
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
