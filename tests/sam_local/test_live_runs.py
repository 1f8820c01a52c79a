"""Live runs: a listing starts the state machine on an interpreter that calls the functions as `sam build` made them.

Each is judged by what is in the warehouse, the index and the bucket, as on the whole template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import urllib3
from tests.integration.operating import ask, keys, put
from tests.sam.lambda_api import emulated_functions, lambda_api
from tests.sam.world import quiet_world
from tests.sam_local.containers import containers
from tests.sam_local.daemon import docker
from tests.sam_local.image import base_image
from tests.sam_local.live import Live, has_step_functions_local, invoking, moto_calling, step_functions_local_calling
from tests.workflow.engines import client_of

from penstock.adapters.clock import SystemClock
from penstock.adapters.stepfunctions import StepFunctionsRuns
from penstock.flows.start_backfill import start_backfill
from penstock.local.children import free_ports
from penstock.local.deployment import local_deployment
from penstock.model.plans import summary_key

pytestmark = pytest.mark.xdist_group("sam build")

FLIGHTS = (
    b"year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    b"origin,dest,air_time,distance,hour,minute,time_hour\n"
    b"2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,QQQ,227,1400,5,15,2013-01-01T10:00:00Z\n"
    b"2013,1,1,533,529,4,850,830,21,UA,1714,N24211,LGA,QQQ,227,1416,5,29,2013-01-01T10:00:00Z\n"
)
AIRPORTS = b"faa,name,lat,lon,alt,tz,dst,tzone\nQQQ,Nowhere Field,1,2,3,-5,A,America/New_York\n"
PLANES = b"tailnum,year,type,manufacturer,model,engines,seats,speed,engine\n"
PLANE = b"N10156,2004,Fixed wing multi engine,EMBRAER,EMB-145XR,2,55,NA,Turbo-fan\n"
CONTAINERS = "sam local start-lambda"


@pytest.fixture(scope="module", params=["emulator", CONTAINERS])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The functions under Lambda's emulator and moto's interpreter; or in containers, and AWS's where it can be had."""
    contained = request.param == CONTAINERS
    if contained and not request.config.getoption("--sam-local"):
        pytest.skip("every function in a container takes minutes: make sam-local")
    built: Path = request.getfixturevalue("built")
    folder, [port, lambdas, started] = tmp_path_factory.mktemp("live"), free_ports(3)
    engine = {"AWS_ENDPOINT_URL_SFN": f"http://127.0.0.1:{port}"}
    with quiet_world(MaxAttempts="1") as world:
        if not contained:
            with (
                emulated_functions(world, built, tmp_path_factory.mktemp("runtime"), engine) as functions,
                lambda_api(functions.invoke) as called,
                moto_calling(called, world.stack.endpoint, port, folder) as endpoint,
            ):
                yield Live(world, called, endpoint, awss=False)
            return
        with (
            docker() as daemon,
            containers(daemon, base_image(daemon)[0], world, built, [port, lambdas], engine) as local,
            local.start_lambda(started) as silent,
            lambda_api(invoking(silent), lambdas) as called,  # Which says of an error that it is one.
        ):
            awss = has_step_functions_local(local)
            if awss:
                machines = step_functions_local_calling(called, world.stack.endpoint, port, local)
            else:
                machines = moto_calling(called, world.stack.endpoint, port, folder)
            with machines as endpoint:
                yield Live(world, called, endpoint, awss=awss)


@pytest.fixture(scope="module", autouse=True)
def deployed(live: Live) -> None:
    live.deploy()


def documents(live: Live, index: str) -> int:
    return int(json.loads(urllib3.request("GET", f"{live.world.stack.search_url}/{index}/_count").data)["count"])


def reasons(live: Live, prefix: str) -> list[str]:
    """What was written beside each file below the `prefix` of failed/."""
    s3, bucket = live.world.stack.client("s3"), live.world.stack.bucket
    found = [key for key in keys(live.world.stack, f"failed/{prefix}") if key.endswith(".reason.json")]
    return [s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in found]


def refuse(live: Live, table: str, times: int) -> None:
    """Has the table refuse its first loads, as a deadlock does. A sequence isn't rolled back with what it counted."""
    with psycopg.connect(live.world.stack.warehouse_dsn("owner")) as connection:
        connection.execute(f"CREATE SEQUENCE {table}_loads".encode())
        connection.execute(
            f"""
            CREATE FUNCTION {table}_refused() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
                IF nextval('public.{table}_loads') <= {times} THEN
                    RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
                END IF;
                RETURN NULL;
            END $$
        """.encode()
        )
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON {table} EXECUTE FUNCTION {table}_refused()".encode()
        )


def test_good_files_are_rows_and_documents_bad_ones_are_quarantined_and_the_view_is_rebuilt(live: Live) -> None:
    stack = live.world.stack
    put(stack, "flights/2013.csv", FLIGHTS)
    put(stack, "airports/nowhere.csv", AIRPORTS)
    put(stack, "airlines/bad.csv", b'carrier\n"AA"\n')
    put(stack, "strangers/a.csv", b"a\n1\n")

    run = live.list_incoming()

    assert live.end_of("IngestStateMachine", run)["status"] == "SUCCEEDED"
    assert ask(stack, "SELECT flight FROM flights ORDER BY flight") == [(1545,), (1714,)]
    assert (documents(live, "flights"), documents(live, "airports"), documents(live, "airlines")) == (2, 1, 0)
    assert ask(stack, "SELECT carrier FROM airlines") == []
    assert keys(stack, "incoming/") == []
    assert [len(keys(stack, f"processed/{one}/")) for one in ("flights", "airports", "airlines")] == [1, 1, 0]
    assert len(reasons(live, "airlines/")) == len(reasons(live, "_unclaimed/strangers/")) == 1
    if not live.awss:  # It would look for processed files in AWS's own S3.
        for dataset in ("flights", "airports"):
            assert live.end_of("RebuildViewsStateMachine", f"{run}-{dataset}")["status"] == "SUCCEEDED"
        assert ask(stack, "SELECT faa, flights, minutes_late FROM late_by_airport") == [("QQQ", 2, 16)]


def test_a_load_that_is_refused_twice_is_tried_again_and_its_row_is_there_once(live: Live) -> None:
    stack = live.world.stack
    refuse(live, "planes", times=2)
    put(stack, "planes/one.csv", PLANES + PLANE)

    run = live.list_incoming()

    assert live.end_of("IngestStateMachine", run)["status"] == "SUCCEEDED"
    assert ask(stack, "SELECT last_value FROM planes_loads") == [(3,)]
    assert ask(stack, "SELECT tailnum FROM planes") == [("N10156",)]
    assert documents(live, "planes") == 1
    assert (keys(stack, "incoming/"), len(keys(stack, "processed/planes/"))) == ([], 1)


def test_a_file_whose_load_is_always_refused_ends_in_failed_with_the_reason(live: Live) -> None:
    stack = live.world.stack
    refuse(live, "airlines", times=1000)
    put(stack, "airlines/AA.csv", b'carrier,name\n"AA","American Airlines Inc."\n')

    run = live.list_incoming()

    assert live.end_of("IngestStateMachine", run)["status"] == "SUCCEEDED"
    assert ask(stack, "SELECT last_value FROM airlines_loads") == [(7,)], "six more attempts, as the machine has it"
    assert ask(stack, "SELECT carrier FROM airlines") == []
    assert documents(live, "airlines") == 0
    assert (keys(stack, "incoming/"), keys(stack, "processed/airlines/")) == ([], [])
    assert any("40P01" in reason for reason in reasons(live, "airlines/"))


def test_a_backfill_works_its_batches_in_a_distributed_map(live: Live) -> None:
    if live.awss:
        pytest.skip("Step Functions Local has no Distributed Map")
    stack, leases, now = live.world.stack, local_deployment(live.world.stack).leases, SystemClock().now()
    machines = live.world.machines()
    runs = StepFunctionsRuns(client_of(live.machines), machines["IngestStateMachine"], machines["BackfillStateMachine"])
    put(stack, "airports/old/1.csv", AIRPORTS.replace(b"QQQ", b"QQ1"))
    put(stack, "airports/old/2.csv", AIRPORTS.replace(b"QQQ", b"QQ2"))
    put(stack, "flights/old.csv", FLIGHTS.replace(b",QQQ,", b",QQ1,"))
    lease = leases.acquire_listing("test", now, timedelta(minutes=10))
    assert lease

    run = start_backfill(leases, runs, SystemClock(), lease, [], "incoming/", 1000, 2**30, 2)

    told = live.end_of("BackfillStateMachine", run)
    assert told["status"] == "SUCCEEDED", told
    assert ask(stack, "SELECT faa FROM airports WHERE faa LIKE 'QQ_' AND faa <> 'QQQ' ORDER BY faa") == [
        ("QQ1",),
        ("QQ2",),
    ]
    assert ask(stack, "SELECT count(*) FROM flights WHERE dest = 'QQ1'") == [(2,)]
    assert keys(stack, "incoming/") == []
    summary = local_deployment(stack).store.get_json(summary_key(run))
    assert (summary["ok"], summary["batches"], summary["parts"]) == (True, 2, 2)
