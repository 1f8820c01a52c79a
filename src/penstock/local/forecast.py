"""What a stream of files will cost on AWS, told before anything is deployed; beside two other ways to do it.

Transitions are counted in the state machine, requests as tests count them at the adapters, alarms in the template.
Lambda's seconds are rates of prices.yaml's, which were measured on a laptop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.local.cost import PRICES, Line, Prices, Work, cost, total
from penstock.local.history import happy_transitions
from penstock.local.stack_template import StackTemplate

MONTH = 30 * 24 * 3600


LOG_BYTES_A_CALL = 2_000
"""Seen on a laptop: 920, and Lambda's own lines are longer as JSON."""
LOG_BYTES_A_DATASET = 500
"""Of each listing, whose lines carry the metrics: seen were 2,400 for six datasets."""

_OF_A_BATCH = ("begin_load", "settle_batch", "index_batch")


@dataclass(frozen=True)
class Files:
    """A stream of files, as many a month, evenly spread. `size` is bytes of one as it lies in S3."""

    a_month: int
    size: int
    destinations: int = 2
    """A table and an index are two; each reads the file."""
    most_files: int = 100
    most_bytes: int = 256 * 2**20
    """Of a batch, as its dataset says."""
    indexed_after_load: bool = False
    kick_offs: int = 0
    """What a run starts when it is done."""
    datasets: int = 1


@dataclass(frozen=True)
class Design:
    name: str
    what: str
    lines: Sequence[Line]

    @property
    def dollars(self) -> float:
        """A month."""
        return total(self.lines)


@dataclass(frozen=True)
class Forecast:
    files: Files
    runs: int
    batches: int
    listings: int
    transitions: int
    designs: Sequence[Design]
    """Penstock's own first."""

    @property
    def dollars(self) -> float:
        return self.designs[0].dollars


def forecast(files: Files, stack: StackTemplate, prices: Prices = PRICES) -> Forecast:
    runs, listings = _runs_and_listings(files, stack)
    batches = runs * batches_of(files, files.a_month / runs) if runs else 0
    work = work_of(files, stack, runs, batches, listings, prices)
    fixed = _fixed(files, stack, prices)
    designs = (
        Design("Penstock", "a run loads what has come, batch by batch", [*cost(work, prices), *fixed]),
        Design(
            "One execution per file",
            "a batch's states and calls for each file, whose record is written twice",
            [*cost(_one_execution_per_file(files, stack, prices), prices), *fixed],
        ),
        Design(
            "Lambda alone",
            "a call per file, whose record is written twice; S3 invokes it, nobody bounds how many",
            [*cost(_lambda_alone(files, stack, prices), prices), *fixed],
        ),
    )
    return Forecast(files, runs, batches, listings, work.transitions, designs)


def batches_of(files: Files, arrived: float) -> int:
    """Of a run that takes `arrived` files."""
    by_bytes = arrived * files.size / files.most_bytes
    return max(1, math.ceil(max(arrived / files.most_files, by_bytes)))


def work_of(
    files: Files, stack: StackTemplate, runs: int, batches: int, listings: int, prices: Prices = PRICES
) -> Work:
    """What so many runs and listings do with all of `files`."""
    kick_offs = runs * files.kick_offs
    one_run = happy_transitions(stack.machine, 0)
    transitions = runs * one_run + batches * (_of_a_batch(stack) + files.indexed_after_load)
    transitions += (runs + kick_offs) if files.kick_offs else 0  # A Map, and a state for each.
    index_calls = batches * (1 + files.indexed_after_load)
    calls = {
        "list_incoming": listings,
        "begin_load": batches,
        "index_batch": index_calls,
        "settle_batch": batches,
        "summarise_run": runs,
        "kick_off": kick_offs,
    }
    return Work(
        files=files.a_month,
        moved=files.a_month,
        opened=files.a_month * files.destinations,
        runs=runs,
        batches=batches,
        listings=listings,
        documents_written=documents_of(runs, batches),
        invocations=sum(calls.values()),
        gb_seconds=_gb_seconds(files, stack, calls, prices),
        transitions=transitions,
        kick_offs=kick_offs,
        log_bytes=sum(calls.values()) * LOG_BYTES_A_CALL + listings * files.datasets * LOG_BYTES_A_DATASET,
        traces=_sampled(listings + runs),
        arm=_arm(stack),
        waiting=math.ceil(files.a_month / listings) if listings else 0,
    )


def documents_of(runs: int, batches: int) -> int:
    """Objects below plans/: of a run its plan and summary; of a batch what was indexed, and its settling twice."""
    return 2 * runs + 3 * batches


def custom_metrics(datasets: int) -> int:
    """penstock/metrics.py publishes 14 for the stack, and for each dataset its backlog and its disagreements."""
    return 14 + 4 * datasets


def _runs_and_listings(files: Files, stack: StackTemplate) -> tuple[int, int]:
    """Files come at random: the first after a run waits for its window, and takes with it what comes meanwhile."""
    if not files.a_month:
        return 0, MONTH // 60
    window = stack.seconds("ArrivalsWindowSeconds")
    between = MONTH / files.a_month
    runs = MONTH / (max(window, stack.seconds("MinSecondsBetweenRuns")) + between)
    runs = max(runs, files.a_month / stack.seconds("MaxLeasedFiles"))
    # Asked for by files, by runs that end, and by the schedule each minute; one answers all that came in a window.
    listings = min(MONTH / (window + between) + runs + MONTH / 60, MONTH / window)
    return math.ceil(runs), math.ceil(listings)


def _of_a_batch(stack: StackTemplate) -> int:
    return happy_transitions(stack.machine, 1) - happy_transitions(stack.machine, 0)


def _gb_seconds(files: Files, stack: StackTemplate, calls: Mapping[str, int], prices: Prices) -> float:
    megabytes = files.a_month * files.size / 1e6
    return sum(
        stack.memory[name] * prices.rates[name].seconds(number, files.a_month, megabytes)
        for name, number in calls.items()
        if number and not (name == "index_batch" and files.destinations < 2)  # It looks, and has nothing to do.
    )


def _one_execution_per_file(files: Files, stack: StackTemplate, prices: Prices) -> Work:
    calls = dict.fromkeys(_OF_A_BATCH, files.a_month)
    gb_seconds = _gb_seconds(files, stack, calls, prices)
    return _per_file(files, stack, calls=len(calls), gb_seconds=gb_seconds, states=_of_a_batch(stack))


def _lambda_alone(files: Files, stack: StackTemplate, prices: Prices) -> Work:
    rates = [prices.rates[name] for name in _OF_A_BATCH[: 1 + files.destinations]]
    megabytes = files.a_month * files.size / 1e6
    seconds = sum(rate.seconds(0, files.a_month, megabytes) for rate in rates) + rates[0].call * files.a_month
    return _per_file(files, stack, calls=1, gb_seconds=seconds * stack.memory["begin_load"], states=0)


def _per_file(files: Files, stack: StackTemplate, calls: int, gb_seconds: float, states: int) -> Work:
    number = files.a_month
    return Work(
        files=number,
        moved=number,
        opened=number * files.destinations,
        runs=0,
        batches=0,
        listings=0,
        documents_written=0,
        invocations=number * calls,
        gb_seconds=gb_seconds,
        transitions=number * states,
        kick_offs=number,  # Two writes, as of a kickoff: that it is begun, and that it is done.
        log_bytes=number * calls * LOG_BYTES_A_CALL,
        traces=_sampled(number),
        arm=_arm(stack),
    )


def _sampled(number: int) -> int:
    """X-Ray's default rule: the first of each second, and a twentieth of the others."""
    first = min(number, MONTH)
    return first + (number - first) // 20


def _arm(stack: StackTemplate) -> bool:
    return stack.parameters["Architecture"] == "arm64"


def _fixed(files: Files, stack: StackTemplate, prices: Prices) -> list[Line]:
    """What a month costs when nothing happens, beside the listings of each minute."""
    metrics = custom_metrics(files.datasets)
    dollars = prices.dollars
    watching = (
        stack.alarm_metrics * dollars["alarm_metric_month"]
        + metrics * dollars["custom_metric_month"]
        + stack.dashboards * dollars["dashboard_month"]
    )
    what = f"{stack.alarm_metrics} alarms, {metrics} metrics, {stack.dashboards} dashboard"
    lines = [Line("CloudWatch", what, watching)]
    if stack.secrets or stack.keys:
        kept = stack.secrets * dollars["secret_month"] + stack.keys * dollars["kms_key_month"]
        lines.append(Line("Secrets and keys", f"{stack.secrets} secrets, {stack.keys} keys", kept))
    return lines
