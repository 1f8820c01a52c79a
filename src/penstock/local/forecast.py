"""What a stream of files will cost on AWS, told before anything is deployed; beside two other ways to do it.

Transitions are counted in the state machine, requests as tests count them at the adapters, what costs by the hour in
the template and those nested in it. Lambda's seconds are rates of prices.yaml's, which were measured on a laptop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from penstock.local.coming import MONTH, NO_EVENTS, NO_MESSAGES, Events, Files, Messages
from penstock.local.cost import PRICES, Line, Prices, Work, cost, sampled, total
from penstock.local.effort import gb_seconds_of, is_huge, kept_files, run_seconds, seconds_a_megabyte, waiting_files
from penstock.local.forecast_notes import notes_of
from penstock.local.frequency import Frequency, batches_of, frequency_of
from penstock.local.front_doors import (
    LOG_BYTES_A_CALL,
    archive_lines,
    is_arm,
    message_lines,
    stream_lines,
)
from penstock.local.history import detour, happy_transitions
from penstock.local.other_designs import lambda_alone, one_execution_per_file
from penstock.local.stack_template import StackTemplate
from penstock.local.standing import GOES_ON_SECONDS, reconciles, standing

__all__ = ["MONTH", "Design", "Events", "Files", "Forecast", "Messages", "batches_of", "forecast", "work_of"]

LOG_BYTES_A_DATASET = 500
"""Of each listing, whose lines carry the metrics: seen were 2,400 for six datasets."""
_TASK_LEAST = 60
"""Seconds that Fargate bills of a task at least; and Redshift Serverless, whenever it wakes."""


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
    """`files` are all that are worked, with those that an archive and a queue make."""

    files: Files
    runs: int
    batches: int
    listings: int
    transitions: int
    designs: Sequence[Design]
    """Penstock's own first."""
    idle: Sequence[Line]
    """Of the same stack when nothing comes at all."""
    notes: Sequence[str]
    """What a sum does not show."""

    @property
    def dollars(self) -> float:
        return self.designs[0].dollars


def forecast(
    files: Files,
    stack: StackTemplate,
    prices: Prices = PRICES,
    events: Events = NO_EVENTS,
    messages: Messages = NO_MESSAGES,
    rpus: int = 0,
) -> Forecast:
    """`rpus` is the base capacity of a Redshift Serverless, whose cost is left out without it."""
    archived, from_archive = archive_lines(events, stack, prices)
    packed, from_queue = message_lines(messages, stack, prices)
    everything = files
    for made in (*from_archive, *from_queue):
        everything = everything.beside(made.files, made.size, made.unpacks_to)
    often = frequency_of(everything, stack)
    work = work_of(everything, stack, often.runs, often.batches, often.listings, prices)
    shared = [*stream_lines(events, stack, prices), *archived, *packed]
    shared += standing(everything, stack, often.runs, prices)
    own = [*cost(work, prices), *_beside_the_runs(everything, stack, often, prices, rpus)]
    designs = (
        Design("Penstock", "a run loads what has come, batch by batch", _that_cost([*own, *shared])),
        Design(
            "One execution per file",
            "a batch's states and calls for each file, whose record is written twice",
            _that_cost([*cost(one_execution_per_file(everything, stack, prices), prices), *shared]),
        ),
        Design(
            "Lambda alone",
            "a call per file, whose record is written twice; S3 invokes it, nobody bounds how many",
            _that_cost([*cost(lambda_alone(everything, stack, prices), prices), *shared]),
        ),
    )
    comes = files.a_month + events.a_month + messages.a_month
    nothing = replace(files, a_month=0)
    idle = forecast(nothing, stack, prices, rpus=rpus).designs[0].lines if comes else designs[0].lines
    notes = list(notes_of(everything, events, stack, often, prices, rpus))
    return Forecast(everything, often.runs, often.batches, often.listings, work.transitions, designs, idle, notes)


def work_of(
    files: Files, stack: StackTemplate, runs: int, batches: int, listings: int, prices: Prices = PRICES
) -> Work:
    """What so many runs and listings do with all of `files`."""
    kick_offs = runs * files.kick_offs
    one_batch = happy_transitions(stack.machine, 1) - happy_transitions(stack.machine, 0)
    transitions = runs * happy_transitions(stack.machine, 0) + batches * one_batch
    transitions += batches * sum(detour(stack.machine, name) for name in _detours(files, stack, prices))
    transitions += (runs + kick_offs) if files.kick_offs else 0  # A Map, and a state for each.
    calls = {
        "list_incoming": listings,
        "begin_load": batches,
        "index_batch": batches * (1 + files.indexed_after_load),
        "settle_batch": batches,
        "summarise_run": runs,
        "kick_off": kick_offs,
        "work_parquet": batches * files.destinations if files.parquet else 0,
        "poll_load": batches if stack.parameters["Warehouse"] == "redshift" else 0,
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
        gb_seconds=gb_seconds_of(files, stack, calls, prices),
        transitions=transitions,
        kick_offs=kick_offs,
        log_bytes=sum(calls.values()) * LOG_BYTES_A_CALL + listings * files.datasets * LOG_BYTES_A_DATASET,
        traces=sampled(listings + runs),
        arm=is_arm(stack),
        waiting=waiting_files(files, stack, runs, batches, prices),
    )


def documents_of(runs: int, batches: int) -> int:
    """Objects below plans/: of a run its plan and summary; of a batch what was indexed, and its settling twice."""
    return 2 * runs + 3 * batches


def _detours(files: Files, stack: StackTemplate, prices: Prices) -> Iterator[str]:
    """States at which a batch leaves the happy path."""
    if is_huge(files, prices) and stack.of("ECS::TaskDefinition"):
        yield from ("Load as a task", "Index as a task")[: files.destinations]
        return
    if files.parquet:
        yield from ("Load Parquet into the warehouse", "Index what was loaded of Parquet")[: files.destinations]
    elif files.indexed_after_load:
        yield "Index what was loaded"
    if stack.parameters["Warehouse"] == "redshift":
        yield "Double the wait"  # COPY takes longer than a function waits for it, and seconds rather than minutes.


def _beside_the_runs(files: Files, stack: StackTemplate, often: Frequency, prices: Prices, rpus: int) -> Iterator[Line]:
    """Reconcile, tasks, mails, and a warehouse that is paid for by the second."""
    dollars, times = prices.dollars, reconciles(stack)
    kept = kept_files(files, stack)
    pages = times * (math.ceil(kept / 1000) + 3)
    going_on = MONTH // GOES_ON_SECONDS if times else 0
    seconds = prices.rates["reconcile"].seconds(times, times * kept, 0)
    gb_seconds = (seconds + prices.rates["reconcile_goes_on"].call * going_on) * stack.memory["reconcile"]
    second = dollars["lambda_gb_second_arm" if is_arm(stack) else "lambda_gb_second"]
    yield Line("Lambda", f"{times} reconciles, {gb_seconds:,.1f} GB-s", gb_seconds * second, "reconcile")
    yield Line("S3", f"{pages:,} LIST", pages * dollars["s3_list"], "reconcile")
    if stack.of("ECS::TaskDefinition") and is_huge(files, prices):
        seconds = sum(
            files.a_month * max(_TASK_LEAST, rate * files.size * files.unpacks_to / 1e6)
            for rate in seconds_a_megabyte(files, prices)
        )
        arm = "_arm" if is_arm(stack) else ""
        hour = dollars[f"fargate_vcpu_hour{arm}"] + stack.number("TaskMemory") / 1024 * dollars[f"fargate_gb_hour{arm}"]
        yield Line("Fargate", f"{seconds / 3600:,.1f} hours of tasks", seconds / 3600 * hour)
    if stack.parameters["NotificationEmail"]:
        yield Line("SNS", f"{often.runs:,} mails", often.runs * dollars["sns_email"])
    if rpus:
        busy = run_seconds(files, stack, often.runs, often.batches, prices) if often.runs else 0
        awake = min(MONTH, often.runs * max(_TASK_LEAST, busy) + times * _TASK_LEAST) / 3600
        what = f"{awake:,.0f} hours awake with {rpus} RPUs"
        yield Line("Redshift Serverless", what, awake * rpus * dollars["rpu_hour"])


def _that_cost(lines: Sequence[Line]) -> Sequence[Line]:
    return [line for line in lines if line.dollars]
