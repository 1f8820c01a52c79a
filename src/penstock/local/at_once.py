"""What files cost that come in one moment: as a backfill, and as runs that listings plan."""

from __future__ import annotations

from dataclasses import replace

from penstock.flows.measure_backfill import Size
from penstock.local.backfill_cost import estimate
from penstock.local.coming import Files
from penstock.local.cost import PRICES, Prices, cost
from penstock.local.forecast import Design, Forecast, work_of
from penstock.local.frequency import frequency_at_once
from penstock.local.other_designs import lambda_alone, one_execution_per_file
from penstock.local.stack_template import StackTemplate


def forecast_at_once(files: Files, stack: StackTemplate, prices: Prices = PRICES) -> Forecast:
    """Nothing by the hour is in it. First of the designs is the way that the stack would go by itself."""
    often = frequency_at_once(files, stack)
    runs = work_of(files, stack, often.runs, often.batches, often.listings, prices)
    listed = replace(runs, waiting=files.a_month // 2)  # Fewer each time.
    size = Size(files.a_month, files.a_month, files.a_month * files.size, often.batches, runs.opened)
    told = estimate(size, int(stack.number("MaxBackfillBatches")))
    once = work_of(files, stack, 1, often.batches, 1, prices)
    by_map = replace(once, transitions=told.transitions, documents_written=told.documents, waiting=files.a_month)
    ways = [
        Design("Backfill", "a Distributed Map over all of them, one run", cost(by_map, prices)),
        Design("Runs", "listings plan them, as much as may be leased at a time", cost(listed, prices)),
    ]
    threshold = stack.number("BackfillThresholdFiles")
    if not 0 < threshold < files.a_month:
        ways.reverse()
    others = [
        Design(
            "One execution per file",
            "a batch's states and calls for each file, whose record is written twice",
            cost(one_execution_per_file(files, stack, prices), prices),
        ),
        Design(
            "Lambda alone",
            "a call per file, whose record is written twice; S3 invokes it, nobody bounds how many",
            cost(lambda_alone(files, stack, prices), prices),
        ),
    ]
    first = by_map if ways[0].name == "Backfill" else listed
    notes = [f"From more files than BackfillThresholdFiles, {threshold:,.0f}, a listing starts a backfill by itself"]
    return Forecast(files, first.runs, first.batches, first.listings, first.transitions, [*ways, *others], (), notes)
