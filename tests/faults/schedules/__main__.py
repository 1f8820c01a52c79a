"""`python -m tests.faults.schedules [--schedules N] [--postgres N] [--first SEED] [--seed SEED]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port
from tests.faults.schedules.campaign import campaign, failure_of_seed
from tests.faults.schedules.warehouses import FakeBench, PostgresBench

from penstock.local.postgres import LOADER, OWNER, PostgresServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.schedules", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many with the warehouse in memory")
    parser.add_argument("--postgres", type=int, default=500, help="how many with a real PostgreSQL")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--seed", type=int, help="this one alone, shrunk and told step by step")
    given = parser.parse_args()
    if given.seed is not None:
        failure = failure_of_seed(FakeBench(), given.seed)
        print(failure or "all invariants held")  # noqa: T201
        return bool(failure)
    tallies = [("in memory", campaign(FakeBench(), given.first, given.schedules))]
    if given.postgres:
        with postgres_bench() as bench:
            tallies.append(("PostgreSQL", campaign(bench, given.first, given.postgres)))
    for name, tally in tallies:
        print(f"warehouse {name}, seeds from {given.first}: {tally}")  # noqa: T201
        for seed, failure in tally.failures:
            print(f"\nseed {seed}: {failure}")  # noqa: T201
    return any(tally.failures for _, tally in tallies)


@contextmanager
def postgres_bench() -> Iterator[PostgresBench]:
    with tempfile.TemporaryDirectory(prefix="penstock-faults-") as base:
        Path(base).chmod(0o711)
        server = PostgresServer(Path(base) / "data", free_port())
        server.start()
        try:
            bench = PostgresBench(server.conninfo(OWNER), server.conninfo(LOADER))
            yield bench
            bench.close()
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
