"""`python -m tests.faults.schedules [--schedules N] [--postgres N] [--first SEED] [--seed SEED]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import postgres_server
from tests.faults.schedules.campaign import Tally, campaign, failure_of_seed
from tests.faults.schedules.warehouses import FakeBench, PostgresBench

from penstock.local.postgres import LOADER, OWNER

PAGE = Path(__file__).parents[3] / "docs" / "schedules.md"

_HEAD = """# Random schedules

*Written by `python -m tests.faults.schedules`, which `make faults` runs; don't edit it.*

The flows themselves, on contract-tested fakes and a virtual clock, with the warehouse in memory or a real PostgreSQL.
Before each port call another step may run, and the call may be killed before or after its effect, fail, lose its reply,
be done twice, be delayed past a lease, or be given up on and go on as a zombie; destinations go down, runs are aborted,
events come twice, late or never, producers overwrite keys, repeat them and send bad files. Then the faults end, the
system runs on, and an oracle that knows only what was put (Python's csv module) checks that every arrival is in one
place with its bytes, that rows and documents are those of the valid lines, once, and that nothing is left over.

What it does not ask: that the documents of a file are complete that says of itself, in `failed/`, that they are not;
and that a document stands which one of a file that was refused later had taken the place of, by its key and without a
table to ask (a replay of the documents brings it back). No two versions of a key are put at one moment.

`python -m tests.faults.schedules --seed N` works one again, shrunk to the choices that matter, step by step. What the
random order seldom reaches has named tests: `tests/faults/schedules/test_named.py`.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.schedules", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many with the warehouse in memory")
    parser.add_argument("--postgres", type=int, default=500, help="how many with a real PostgreSQL")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--seed", type=int, help="this one alone, shrunk and told step by step")
    given = parser.parse_args()
    if given.seed is not None:
        failure = failure_of_seed(FakeBench(), given.seed)
        print(failure or "all invariants held")  # noqa: T201 - a command's own words
        return bool(failure)
    tallies = [("in memory", campaign(FakeBench(), given.first, given.schedules))]
    if given.postgres:
        with postgres_bench() as bench:
            tallies.append(("PostgreSQL", campaign(bench, given.first, given.postgres)))
    for name, tally in tallies:
        print(f"warehouse {name}, seeds from {given.first}: {tally}")  # noqa: T201 - a command's own words
        for seed, failure in tally.failures:
            print(f"\nseed {seed}: {failure}")  # noqa: T201 - a command's own words
    PAGE.write_text(_page(given.first, tallies))
    return any(tally.failures for _, tally in tallies)


def _page(first: int, tallies: Sequence[tuple[str, Tally]]) -> str:
    lines = [_HEAD, "| warehouse | seeds from | schedules | faults in them | a second | |", "|---|---|---|---|---|---|"]
    for name, tally in tallies:
        held = f"seed {tally.failures[0][0]} FAILED" if tally.failures else "all invariants held"
        rate = tally.schedules / tally.seconds
        lines.append(f"| {name} | {first} | {tally.schedules:,} | {tally.faults:,} | {rate:.0f} | {held} |")
    return "\n".join(lines) + "\n"


@contextmanager
def postgres_bench() -> Iterator[PostgresBench]:
    with postgres_server() as server:
        bench = PostgresBench(server.conninfo(OWNER), server.conninfo(LOADER))
        yield bench
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
