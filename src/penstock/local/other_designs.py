"""The same files without batches: as an execution for each, and as a call of one function for each."""

from __future__ import annotations

from penstock.local.coming import Files
from penstock.local.cost import Prices, Work, sampled
from penstock.local.front_doors import LOG_BYTES_A_CALL, is_arm
from penstock.local.history import happy_transitions
from penstock.local.stack_template import StackTemplate

_OF_A_BATCH = ("begin_load", "settle_batch", "index_batch")


def one_execution_per_file(files: Files, stack: StackTemplate, prices: Prices) -> Work:
    steps = _OF_A_BATCH[: 1 + files.destinations]
    gb_seconds = sum(
        stack.memory[name] * prices.rates[name].seconds(files.a_month, files.a_month, files.megabytes) for name in steps
    )
    states = happy_transitions(stack.machine, 1) - happy_transitions(stack.machine, 0)
    return _per_file(files, stack, calls=len(_OF_A_BATCH), gb_seconds=gb_seconds, states=states)


def lambda_alone(files: Files, stack: StackTemplate, prices: Prices) -> Work:
    rates = [prices.rates[name] for name in _OF_A_BATCH[: 1 + files.destinations]]
    seconds = sum(rate.seconds(0, files.a_month, files.megabytes) for rate in rates) + rates[0].call * files.a_month
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
        traces=sampled(number),
        arm=is_arm(stack),
    )
