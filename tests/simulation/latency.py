"""`python -m tests.simulation.latency`: what MinSecondsBetweenRuns trades, from the state machine's own states.

Counted is one run after the other for a month, each with one batch of a table: the dearest way to load a trickle.
"""

from __future__ import annotations

import sys

import yaml
from tests.template.deployment import REPOSITORY

from penstock.local.cost import PRICES
from penstock.local.history import happy_transitions

MONTH = 30 * 24 * 3600


def table() -> str:
    machine = yaml.safe_load((REPOSITORY / "statemachines" / "ingest.asl.yaml").read_text())
    one, two = happy_transitions(machine, 1), happy_transitions(machine, 2)
    lines = [
        f"A run enters {one - (two - one)} states, and {two - one} more for each batch.",
        "",
        "| MinSecondsBetweenRuns | runs a month | transitions | dollars | a file waits for it at most |",
        "|---|---|---|---|---|",
    ]
    for seconds in (10, 30, 60, 120, 300, 600, 900):
        runs = MONTH // seconds
        dollars = runs * one * PRICES.dollars["transition"]
        lines.append(f"| {seconds} | {runs:,} | {runs * one:,} | ${dollars:,.2f} | {seconds} s, and 60 s |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
