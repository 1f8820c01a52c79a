"""What a run of files would cost on AWS: counted requests times list prices, service by service.

Not in it: the warehouse, the search domain, NAT or VPC endpoints, storage by the month, logs and metrics. They
depend on what you have, not on how many files come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PRICES_AS_OF = "2025-11"
REGION = "us-east-1"

_MILLION = 1_000_000
PRICES: Mapping[str, float] = {
    # https://aws.amazon.com/s3/pricing/ (Standard)
    "s3_put": 5.00 / _MILLION,
    "s3_copy": 5.00 / _MILLION,
    "s3_list": 5.00 / _MILLION,
    "s3_get": 0.40 / _MILLION,
    # https://aws.amazon.com/lambda/pricing/ (x86, first tier)
    "lambda_request": 0.20 / _MILLION,
    "lambda_gb_second": 0.0000166667,
    # https://aws.amazon.com/step-functions/pricing/ (Standard)
    "transition": 25.00 / _MILLION,
    # https://aws.amazon.com/dynamodb/pricing/on-demand/
    "dynamodb_write": 0.625 / _MILLION,
    "dynamodb_read": 0.125 / _MILLION,
    # https://aws.amazon.com/sqs/pricing/ and https://aws.amazon.com/sns/pricing/
    "sqs_request": 0.40 / _MILLION,
    "sns_publish": 0.50 / _MILLION,
}
"""Dollars for one, without the free tier: the one place where prices stand."""


@dataclass(frozen=True)
class Work:
    """What was counted. `gb_seconds` is Lambda's memory times its time, as measured where it ran."""

    files: int
    moved: int
    """Files that settle copied to `processed/` or `failed/`."""
    opened: int
    """How often a file was read: once for its table, and once for its index."""
    runs: int
    batches: int
    listings: int
    documents_written: int
    """Objects that Penstock wrote itself: plans, outcomes, summaries, reasons and rejects."""
    invocations: int
    """Calls of Lambda functions, listings among them."""
    gb_seconds: float
    transitions: int


@dataclass(frozen=True)
class Line:
    service: str
    what: str
    dollars: float


def cost(work: Work) -> Sequence[Line]:
    """A line per service. Its text says what was counted."""
    lists = work.listings * _pages(work.files)
    # Every function reads its plan; settle reads the index's outcomes too, and the summary each settled batch.
    gets = work.opened + work.invocations + 2 * work.batches
    # A run is recorded in a transaction with the listing lease, which bills both writes twice, and ended once.
    writes = work.runs * (2 * 2 + 1) + work.listings * 2
    reads = work.listings * 2 + work.batches
    # S3 sends a message a file; Lambda receives and deletes them by the batch.
    messages = work.files + 2 * work.listings
    return (
        _line(
            "S3",
            {"PUT": work.files + work.documents_written, "COPY": work.moved, "GET": gets, "LIST": lists},
            {"PUT": "s3_put", "COPY": "s3_copy", "GET": "s3_get", "LIST": "s3_list"},
        ),
        Line(
            "Lambda",
            f"{work.invocations:,} calls, {work.gb_seconds:,.1f} GB-s",
            work.invocations * PRICES["lambda_request"] + work.gb_seconds * PRICES["lambda_gb_second"],
        ),
        _line("Step Functions", {"transitions": work.transitions}, {"transitions": "transition"}),
        _line("DynamoDB", {"writes": writes, "reads": reads}, {"writes": "dynamodb_write", "reads": "dynamodb_read"}),
        _line("SQS", {"requests": messages}, {"requests": "sqs_request"}),
        _line("SNS", {"messages": work.runs}, {"messages": "sns_publish"}),
    )


def total(lines: Iterable[Line]) -> float:
    return sum(line.dollars for line in lines)


def _line(service: str, amounts: Mapping[str, int], prices: Mapping[str, str]) -> Line:
    what = ", ".join(f"{number:,} {name}" for name, number in amounts.items())
    return Line(service, what, sum(number * PRICES[prices[name]] for name, number in amounts.items()))


def _pages(keys: int) -> int:
    """A listing gives a thousand keys a request, and an empty prefix still costs one."""
    return max(1, -(-keys // 1000))
