"""A warehouse that can't be connected to, on the whole template: its breaker opens, is probed, and closes."""

from __future__ import annotations

import psycopg
import pytest
from tests.faults.deployment import FaultyStack
from tests.faults.kinds import Fault, Point

pytestmark = pytest.mark.xdist_group("faults")

FILES = 5


def test_an_outage_opens_the_breaker_costs_nobody_an_attempt_and_ends_by_a_probe(faulty: FaultyStack) -> None:
    s3, leases = faulty.client("s3"), faulty.deployment.leases
    faulty.arm("outage", Point("begin_load", "postgres connect", 0), Fault.FAIL_ALWAYS)
    for number in range(FILES):
        body = f"id,sensor,value\noutage-{number},a,{number}\n"
        s3.put_object(Bucket=faulty.deployment.bucket, Key=f"incoming/readings/outage/{number}.csv", Body=body.encode())

    known = {run.id for run in leases.runs(1000)}

    def listed() -> list[int]:
        """The files of each run that was started since the last time, by this listing or by a run's end; all over."""
        faulty.list_incoming()
        assert faulty.await_quiet(120)
        new = [run for run in leases.runs(1000) if run.id not in known]
        known.update(run.id for run in new)
        return [run.files for run in new]

    first, opened = listed(), leases.breakers()
    at_once = listed()
    faulty.advance(40)
    probe = listed() or listed()  # A listing that another run's end asked for may have been at it.
    still = leases.breakers()
    attempts = leases.waiting()
    faulty.heal()
    faulty.advance(80)
    while faulty.left():
        listed()

    with psycopg.connect(faulty.stack.warehouse_dsn("owner")) as connection:
        loaded = connection.execute("SELECT count(*) FROM readings WHERE id LIKE 'outage-%'").fetchone()
    assert (first, at_once, probe) == ([FILES], [], [1])
    assert "connection refused" in opened["warehouse"].reason
    assert (opened["warehouse"].failures, still["warehouse"].failures) == (1, 2)
    assert attempts == {}
    assert loaded == (FILES,)
    assert leases.breakers() == {}
