"""What the sum of a forecast does not show: what grows, what is too much for the stack, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.local.coming import HOURS, MONTH, Events, Files
from penstock.local.cost import Prices
from penstock.local.effort import batch_seconds, is_huge, kept_files, seconds_a_megabyte
from penstock.local.frequency import Frequency
from penstock.local.front_doors import shards_wanted
from penstock.local.stack_template import StackTemplate
from penstock.local.standing import GOES_ON_SECONDS, reconciles

_RECONCILES = 480 * 24 * 3600 / GOES_ON_SECONDS
"""Seconds for which a reconcile that goes on reads in a day."""


def notes_of(
    files: Files, events: Events, stack: StackTemplate, often: Frequency, prices: Prices, rpus: int
) -> Iterator[str]:
    """Sentences without their full stops."""
    for why in stack.refused:
        yield f"A deployment with these parameters is refused: {why}"
    gigabytes = files.a_month * files.size / 1e9
    if gigabytes >= 1 and stack.parameters["ProcessedExpirationDays"] == "0":
        month = gigabytes * prices.dollars["s3_gb_month"]
        yield (
            f"The files themselves, {gigabytes:,.0f} GB, are not in it: kept, each month of them costs ${month:,.2f} "
            "in every month that follows. ProcessedExpirationDays ends that"
        )
    if files.a_month and is_huge(files, prices):
        seconds = max(seconds_a_megabyte(files, prices)) * files.size * files.unpacks_to / 1e6
        task = (
            "a Fargate task loads each" if stack.of("ECS::TaskDefinition") else "without TaskImage each is quarantined"
        )
        yield f"A function has no time for such a file, which takes {seconds:,.0f} s at the laptop's rates: {task}"
    elif often.batches:
        at_once, come = stack.number("MaxBatchesAtWork"), files.a_month / MONTH
        worked = at_once / batch_seconds(files, often.batches, prices) * files.a_month / often.batches
        if worked < come:
            yield (
                f"{come:,.1f} files come in a second, and {at_once:g} batches at once work {worked:,.1f} of them at "
                "the laptop's rates: the backlog grows. Raise MaxBatchesAtWork and MaxParallelBatches"
            )
    times, kept = reconciles(stack), kept_files(files, stack)
    seconds = prices.rates["reconcile"].seconds(1, kept, 0)
    if times and seconds > _RECONCILES:
        yield (
            f"A reconcile of {kept:,} files takes {seconds / _RECONCILES:,.1f} days by the rate of prices.yaml, and is "
            "given up after 3: let settled files expire, or run `penstock reconcile` elsewhere, ReconcileSchedule empty"
        )
    shards, wanted = stack.number("StreamShards"), shards_wanted(events)
    if stack.parameters["Stream"] == "provisioned" and wanted > shards:
        yield f"StreamShards={shards:g} refuses some of what comes: so many events want {wanted:,}"
    if stack.parameters["Warehouse"] == "redshift" and not rpus:
        yield "Redshift is not in it. Each run wakes a Serverless, for a minute at least: --rpus says its capacity"
    if stack.parameters["VpcSubnetIds"]:
        nat = prices.dollars["nat_hour"] * HOURS
        yield f"The network of VpcSubnetIds is not in it: a NAT gateway there costs ${nat:,.2f} a month and zone"
