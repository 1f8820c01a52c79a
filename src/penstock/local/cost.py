"""What a run of files would cost on AWS: counted requests times list prices, service by service.

Not in it: what costs by the hour (standing.py), and what else brings files (front_doors.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from penstock.local.coming import MONTH
from penstock.model.errors import PermanentError


@dataclass(frozen=True)
class Rate:
    """Seconds of a function: of each call, of each file in it, and of each megabyte of them."""

    call: float
    file: float
    megabyte: float

    def seconds(self, calls: float, files: float, megabytes: float) -> float:
        return self.call * calls + self.file * files + self.megabyte * megabytes


@dataclass(frozen=True)
class Prices:
    """Dollars for one of each, without the free tier, by the names that prices.yaml gives them.

    `units` says of what, by the same names.
    """

    region: str
    as_of: str
    dollars: Mapping[str, float]
    rates: Mapping[str, Rate]
    """Not prices, but what is multiplied with Lambda's: by function."""
    units: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Prices:
        """Raises PermanentError for a file that does not say all that prices.yaml says."""
        try:
            told = yaml.safe_load(path.read_text())
            dollars = {name: float(price["dollars"]) / float(price["for"]) for name, price in told["prices"].items()}
            rates = {name: Rate(**rate) for name, rate in told["seconds"].items()}
            units = {name: str(price["unit"]) for name, price in told["prices"].items()}
            made = cls(str(told["region"]), str(told["as_of"]), dollars, rates, units)
            if wrong := [name for name, price in dollars.items() if not 0 <= price < math.inf]:
                raise ValueError(f"{', '.join(wrong)} is less than nothing, or no number")
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, ZeroDivisionError) as wrong:
            raise PermanentError(f"{path} is no table of prices: {wrong!r}. Copy {_TABLE} and change that") from None
        if path != _TABLE and (missing := (PRICES.dollars.keys() - dollars) | (PRICES.rates.keys() - rates)):
            raise PermanentError(f"{path} says nothing of {', '.join(sorted(missing))}. {_TABLE} has all")
        return made


_TABLE = Path(__file__).with_name("prices.yaml")
PRICES = Prices.read(_TABLE)
"""The one place where prices stand."""
PRICES_AS_OF, REGION = PRICES.as_of, PRICES.region


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
    kick_offs: int = 0
    log_bytes: int = 0
    traces: int = 0
    arm: bool = False
    waiting: int | None = None
    """Files that a listing finds, when that is not all of them."""


@dataclass(frozen=True)
class Line:
    service: str
    what: str
    dollars: float
    of: str = "files"
    """What of a stack it is paid for: `files`, `stream`, `archive`, `messages`, or `standing`, which is by the hour."""


def requests(work: Work) -> Mapping[str, int]:
    """How many of what has a price, by its name. tests/contract/test_calls_per_file.py counts the same calls."""
    waiting = work.files if work.waiting is None else work.waiting
    return {
        "s3_put": work.files + work.documents_written,
        "s3_copy": work.moved,
        # Of a batch: the plan for each of three functions, what the index left twice, and what was settled.
        "s3_get": work.opened + 6 * work.batches + work.runs,
        "s3_list": work.listings * _pages(waiting),
        # A run is recorded with the listing lease, a transaction, which bills both twice; then it ends. Both times what
        # is live changes, an index that bills a write, and the memo of the backlog.
        "dynamodb_write": work.runs * (2 * 2 + 1 + 2 + 2) + work.listings * 2 + work.kick_offs * 2,
        "dynamodb_read": work.listings * 4 + work.batches * 3,
        # S3 sends a message a file, and the rule one a minute; Lambda receives ten at most, and deletes as many.
        "sqs_request": work.files + 2 * max(work.listings, -(-work.files // 10)),
        "sns_publish": work.runs,
        "transition": work.transitions,
        "lambda_request": work.invocations,
        "trace": work.traces,
    }


def cost(work: Work, prices: Prices = PRICES) -> Sequence[Line]:
    """A line per service. Its text says what was counted."""
    counted = requests(work)

    def line(service: str, **names: str) -> Line:
        what = ", ".join(f"{counted[name]:,} {shown}" for name, shown in names.items())
        return Line(service, what, sum(counted[name] * prices.dollars[name] for name in names))

    second = prices.dollars["lambda_gb_second_arm" if work.arm else "lambda_gb_second"]
    calls = line("Lambda", lambda_request="calls")
    lines = [
        line("S3", s3_put="PUT", s3_copy="COPY", s3_get="GET", s3_list="LIST"),
        Line("Lambda", f"{calls.what}, {work.gb_seconds:,.1f} GB-s", calls.dollars + work.gb_seconds * second),
        line("Step Functions", transition="transitions"),
        line("DynamoDB", dynamodb_write="writes", dynamodb_read="reads"),
        line("SQS", sqs_request="requests"),
        line("SNS", sns_publish="messages"),
    ]
    if work.log_bytes:
        gigabytes = work.log_bytes / 1e9
        lines.append(Line("Logs", f"{gigabytes:,.3f} GB", gigabytes * prices.dollars["log_gb"]))
    if work.traces:
        lines.append(line("X-Ray", trace="traces"))
    return lines


@dataclass(frozen=True)
class StreamWork:
    """What events took. `writes` are items in transactions."""

    records: int
    writes: int
    letters: int
    notices: int
    invocations: int
    gb_seconds: float


def cost_of_stream(work: StreamWork) -> Sequence[Line]:
    """Without what the stream costs by the hour, whatever is in it."""
    price = PRICES.dollars
    units = 2 * work.writes  # Of a transaction both its phases are billed.
    compute = work.gb_seconds * price["lambda_gb_second"] + work.invocations * price["lambda_request"]
    return [
        Line("Kinesis", f"{work.records:,} PUT units", work.records * price["kinesis_put_unit"]),
        Line("Lambda", f"{work.invocations:,} calls, {work.gb_seconds:,.1f} GB-s", compute),
        Line("DynamoDB", f"{units:,} writes", units * price["dynamodb_write"]),
        Line("SQS", f"{work.letters:,} messages", work.letters * price["sqs_request"]),
        Line("SNS", f"{work.notices:,} messages", work.notices * price["sns_publish"]),
    ]


def sampled(number: int, seconds: int = MONTH) -> int:
    """Traces of so many calls, by X-Ray's default rule: the first of each second, and a twentieth of the others."""
    first = min(number, seconds)
    return first + (number - first) // 20


def total(lines: Iterable[Line]) -> float:
    return sum(line.dollars for line in lines)


def _pages(keys: int) -> int:
    """A listing gives a thousand keys a request, and an empty prefix still costs one."""
    return max(1, -(-keys // 1000))
