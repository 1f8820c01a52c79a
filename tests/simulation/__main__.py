"""`make simulation`: a month, judged and plotted; exits with 1 when it was not as it has to be."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.simulation.judge import late, overloads, wrong_alarms
from tests.simulation.month import BEGIN, DAY, HOUR, LIMITS, Seen, World, month
from tests.simulation.plot import ALARMS, plot

PICTURE = Path(__file__).parents[2] / "docs" / "simulation.png"


def a_month() -> World:
    """An outage, a flood, a slow destination and a silence: one in each week, far enough apart to be told apart."""
    return World(
        days=30,
        outages=[(BEGIN + 6 * DAY + 11 * HOUR, BEGIN + 6 * DAY + 13 * HOUR)],
        floods=[(BEGIN + 13 * DAY + 9 * HOUR, BEGIN + 13 * DAY + 10 * HOUR, 2.0)],
        slow=[(BEGIN + 20 * DAY + 8 * HOUR, BEGIN + 20 * DAY + 20 * HOUR, 2.0)],
        silences=[(BEGIN + 26 * DAY + 9 * HOUR, BEGIN + 26 * DAY + 14 * HOUR)],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begun = time.monotonic()
    seen = month(a_month(), arguments.seed)
    found, judged = late(seen)
    faults = [*overloads(seen), *found, *wrong_alarms(seen)]
    lines = [
        f"seed {arguments.seed}: {seen.world.days} days in {time.monotonic() - begun:.0f} s",
        f"{len(seen.arrived):,} files, {seen.listings:,} listings, {seen.runs:,} runs",
        f"at most {max(leased for _, leased in seen.leased)} of {LIMITS.files} files leased",
        f"at most {seen.most_connections} of {LIMITS.at_work} connections taken",
        f"{judged:,} files came while there was room: {len(found)} of them late",
        *(f"{name} rang: {_rang(seen, name)}" for name in ALARMS),
        *(f"WRONG: {fault}" for fault in faults[:20]),
    ]
    plot(seen, PICTURE)
    sys.stdout.write("\n".join([*lines, f"plotted {PICTURE.name}; {len(faults)} wrong", ""]))
    return 1 if faults else 0


def _rang(seen: Seen, name: str) -> str:
    return ", ".join(f"day {begin:%d %H:%M} to {end:%H:%M}" for begin, end in seen.cloudwatch.rang(name)) or "never"


if __name__ == "__main__":
    sys.exit(main())
