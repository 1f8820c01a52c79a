"""How long functions and tasks are at work with a month's files, by the rates of prices.yaml: a laptop's, or yours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from penstock.local.coming import MONTH, Files
from penstock.local.cost import Prices
from penstock.local.stack_template import StackTemplate
from penstock.model.huge import SLOWEST_RATE, USABLE_SECONDS


def is_huge(files: Files, prices: Prices) -> bool:
    """Whether a function has no time for one, at the rate that the stack will have measured."""
    seconds = max(seconds_a_megabyte(files, prices))
    rate = max(SLOWEST_RATE, 1e6 / seconds) if seconds else math.inf
    return files.size * files.unpacks_to / rate > USABLE_SECONDS


def seconds_a_megabyte(files: Files, prices: Prices) -> Sequence[float]:
    """Of each destination; they are worked side by side."""
    return [prices.rates[name].megabyte for name in ("begin_load", "index_batch")[: files.destinations]]


def gb_seconds_of(files: Files, stack: StackTemplate, calls: Mapping[str, int], prices: Prices) -> float:
    seconds = dict.fromkeys(calls, 0.0)
    for name, number in calls.items():
        whole = prices.rates[name].seconds(number, files.a_month, files.megabytes)
        seconds[name] = whole if number else 0.0
    if files.destinations < 2:
        seconds["index_batch"] = 0.0  # It looks, and has nothing to do.
    if files.parquet or is_huge(files, prices):
        for name in ("begin_load", "index_batch"):  # They look what it is, and leave it.
            seconds[name] = prices.rates[name].call * calls[name]
    return sum(stack.memory[name] * one for name, one in seconds.items())


def waiting_files(files: Files, stack: StackTemplate, runs: int, batches: int, prices: Prices) -> int:
    """Files that a listing finds: those that come until the next run, and those that are at work."""
    if not runs:
        return 0
    return math.ceil(files.a_month / runs + files.a_month / MONTH * run_seconds(files, stack, runs, batches, prices))


def run_seconds(files: Files, stack: StackTemplate, runs: int, batches: int, prices: Prices) -> float:
    """Of its rounds of batches, by the laptop's rates."""
    rounds = math.ceil(batches / runs / stack.number("MaxParallelBatches"))
    return rounds * batch_seconds(files, batches, prices)


def batch_seconds(files: Files, batches: int, prices: Prices) -> float:
    number, megabytes = files.a_month / batches, files.megabytes / batches
    ways = [prices.rates[name].seconds(1, number, megabytes) for name in ("begin_load", "index_batch")]
    return max(ways[: files.destinations]) + prices.rates["settle_batch"].seconds(1, number, 0)


def kept_files(files: Files, stack: StackTemplate) -> int:
    """Settled files that a reconcile finds: on the average of the first month, where none expires."""
    days = stack.number("ProcessedExpirationDays")
    return math.ceil(files.a_month * days / 30) if days else files.a_month // 2
