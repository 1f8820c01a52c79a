"""A warehouse that can't be connected to, on the whole template: its breaker opens, is probed, and closes."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass

import psycopg
import pytest
from tests.faults.deployment import FaultyStack
from tests.faults.kinds import Fault, Point

pytestmark = pytest.mark.xdist_group("faults")

FILES = 5


@dataclass
class OnPostgres:
    faulty: FaultyStack
    words: str = "connection refused"

    def goes_down(self) -> None:
        self.faulty.arm("outage", Point("begin_load", "postgres connect", 0), Fault.FAIL_ALWAYS)

    def comes_up(self) -> None:
        self.faulty.heal()


@dataclass
class OnRedshift:
    """Paused as a person pauses the stand-in."""

    faulty: FaultyStack
    words: str = "The cluster is paused"

    def goes_down(self) -> None:
        self._ask("PUT")

    def comes_up(self) -> None:
        self._ask("DELETE")

    def _ask(self, method: str) -> None:
        url = f"{self.faulty.client('redshift-data').meta.endpoint_url}/paused"
        urllib.request.urlopen(urllib.request.Request(url, method=method)).close()  # noqa: S310 - http on 127.0.0.1


@pytest.fixture(params=[OnPostgres, OnRedshift])
def outage(request: pytest.FixtureRequest) -> OnPostgres | OnRedshift:
    kind = request.param
    made: OnPostgres | OnRedshift = kind(
        request.getfixturevalue("faulty" if kind is OnPostgres else "faulty_on_redshift")
    )
    return made


def test_an_outage_opens_the_breaker_costs_nobody_an_attempt_and_ends_by_a_probe(
    outage: OnPostgres | OnRedshift,
) -> None:
    faulty = outage.faulty
    s3, leases = faulty.client("s3"), faulty.deployment.leases
    outage.goes_down()
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
    outage.comes_up()
    faulty.advance(80)
    while faulty.left():
        listed()

    with psycopg.connect(faulty.stack.warehouse_dsn("owner")) as connection:
        loaded = connection.execute("SELECT count(*) FROM readings WHERE id LIKE 'outage-%'").fetchone()
    assert (first, at_once, probe) == ([FILES], [], [1])
    assert outage.words in opened["warehouse"].reason
    assert (opened["warehouse"].failures, still["warehouse"].failures) == (1, 2)
    assert attempts == {}
    assert loaded == (FILES,)
    assert leases.breakers() == {}
