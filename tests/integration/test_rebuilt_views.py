"""Views on the whole template: a file is put, and what is made of its dataset is rebuilt."""

from __future__ import annotations

import json

import psycopg
from tests.integration.processes import eventually

from penstock.local.deployment import local_deployment
from penstock.local.runs import list_runs, tell
from penstock.local.stack import LocalStack

AIRPORTS = b"faa,name,lat,lon,alt,tz,dst,tzone\nQQQ,Nowhere Field,1,2,3,-5,A,America/New_York\n"
FLIGHTS = (
    b"year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    b"origin,dest,air_time,distance,hour,minute,time_hour\n"
    b"2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,QQQ,227,1400,5,15,2013-01-01T10:00:00Z\n"
    b"2013,1,1,517,515,2,830,819,21,UA,1546,N14228,EWR,QQQ,227,1400,5,15,2013-01-01T10:00:00Z\n"
    b"2013,1,1,NA,515,NA,NA,819,NA,UA,1547,NA,EWR,QQQ,NA,1400,5,15,2013-01-01T10:00:00Z\n"
)


def test_what_is_made_of_two_datasets_is_rebuilt_when_either_was_loaded(local_stack: LocalStack) -> None:
    s3 = local_stack.client("s3")
    s3.put_object(Bucket=local_stack.bucket, Key="incoming/airports/nowhere.csv", Body=AIRPORTS)
    s3.put_object(Bucket=local_stack.bucket, Key="incoming/flights/nowhere.csv", Body=FLIGHTS)

    def rebuilt() -> bool:
        with psycopg.connect(local_stack.warehouse_dsn("owner")) as connection:
            found = connection.execute("SELECT * FROM late_by_airport WHERE faa = 'QQQ'").fetchall()
        return [tuple(map(str, row)) for row in found] == [("QQQ", "Nowhere Field", "3", "2", "16")]

    assert eventually(rebuilt)


def test_a_run_says_what_became_of_what_it_kicked_off(local_stack: LocalStack) -> None:
    deployment = local_deployment(local_stack)
    local_stack.client("s3").put_object(
        Bucket=local_stack.bucket, Key="incoming/airports/elsewhere.csv", Body=AIRPORTS.replace(b"QQQ", b"QQR")
    )

    def followed() -> bool:
        stories = [tell(deployment, run) for run in list_runs(deployment, 50)]
        return any(story.after.get("airports") == "SUCCEEDED" for story in stories)

    assert eventually(followed)


def test_a_rebuild_without_anything_processed_fails_and_says_so(local_stack: LocalStack) -> None:
    states = local_stack.client("stepfunctions")
    machines = states.list_state_machines()["stateMachines"]
    [machine] = [one["stateMachineArn"] for one in machines if "RebuildViews" in one["name"]]
    given = {"run": "by-hand", "dataset": "flights", "processed": "processed/nobodys/"}

    execution = states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]

    assert eventually(lambda: states.describe_execution(executionArn=execution)["status"] == "FAILED")
    last = states.get_execution_history(executionArn=execution)["events"][-1]
    assert last["executionFailedEventDetails"]["error"] == "NothingProcessed"
