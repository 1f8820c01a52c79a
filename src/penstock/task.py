"""`python -m penstock.task begin_load --plan ID --batch 0`: a step of a batch, without a function's 900 seconds.

The container that the state machine runs as a Fargate task for a file that a function has no time for. It does the same
use case on the same adapters, and nothing else. It exits with 0, or says by sysexits.h's numbers why not: what
`penstock.handler.outcome` reads in the state machine's cause.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from penstock import wiring
from penstock.handler import DOWN, REFUSED, TRY_AGAIN, UNEXPECTED, Answer, Context, Event, lambda_handler, number, text
from penstock.model.errors import PermanentError, TransientError, down_in


def _begin_load(event: Event, _context: Context) -> Answer:
    from penstock.flows.load_batch import begin_load

    known = wiring.store(), wiring.warehouse(), wiring.datasets()
    return begin_load(*known, text(event, "plan"), number(event, "batch"))


def _index_batch(event: Event, _context: Context) -> Answer:
    """After the load, which a task of its own has ended before."""
    from penstock.flows.index_batch import index_batch

    known = wiring.store(), wiring.warehouse(), wiring.search(), wiring.datasets(), wiring.clock()
    return index_batch(text(event, "plan"), number(event, "batch"), *known, load_ended=True)


_STEPS: Mapping[str, Callable[[Event, Any], Answer]] = {"begin_load": _begin_load, "index_batch": _index_batch}


@dataclass(frozen=True)
class _TaskContext:
    """What the logs ask of Lambda's context."""

    function_name: str
    memory_limit_in_mb: int = 0
    invoked_function_arn: str = ""
    aws_request_id: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    asked = argparse.ArgumentParser(prog="python -m penstock.task", description=__doc__)
    asked.add_argument("step", choices=_STEPS)
    asked.add_argument("--plan", required=True)
    asked.add_argument("--batch", required=True, type=int)
    given = asked.parse_args(arguments)
    # Fargate stops a task by it. The first process of a container obeys no signal that it has no handler for.
    signal.signal(signal.SIGTERM, _stop)
    step = lambda_handler(_STEPS[given.step])
    try:
        step({"plan": given.plan, "batch": given.batch}, _TaskContext(given.step))
    except TransientError as error:
        return DOWN if down_in(str(error)) else TRY_AGAIN
    except PermanentError:
        return REFUSED
    except Exception:  # noqa: BLE001 - it was logged, without its text; the number is all that the machine sees.
        return UNEXPECTED
    return 0


def _stop(_signal: int, _frame: object) -> NoReturn:
    """What it did is rolled back with its connection."""
    raise SystemExit(TRY_AGAIN)


if __name__ == "__main__":
    sys.exit(main())
