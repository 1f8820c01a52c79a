"""A stack on the laptop's engines in which nothing happens by itself, so that each event gets the answer it is due."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tests.template.deployment import REPOSITORY

from penstock.adapters.s3 import S3ObjectStore
from penstock.local.stack import LocalStack
from penstock.model.plans import Batch, Plan, plan_key

PLAN = "20260115T101112-345-1a2b3c4d"
"""The run that the files of events/ are about."""
KEY = "incoming/flights/2013/2013-01-01.csv"
_FLIGHTS = (
    b"year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    b"dest,air_time,distance,hour,minute,time_hour\n"
    b"2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z\n"
    b"2013,1,1,533,529,4,850,830,20,UA,1714,N24211,LGA,IAH,227,1416,5,29,2013-01-01T10:00:00Z\n"
)
_BUILT_DATASETS = "/opt/datasets"


@dataclass(frozen=True)
class World:
    stack: LocalStack

    def environment(self, function: str, datasets: str = _BUILT_DATASETS) -> dict[str, str]:
        """What the template gives a function, by its logical id, with this stack's names and endpoint."""
        configuration = self._configurations[function]
        variables: dict[str, str] = configuration["Environment"]["Variables"]
        return {
            **variables,
            "PENSTOCK_DATASETS": datasets,
            "AWS_ENDPOINT_URL": self.stack.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def memory(self, function: str) -> int:
        """The template's MemorySize, in MiB."""
        return int(self._configurations[function]["MemorySize"])

    def timeout(self, function: str) -> int:
        """The template's Timeout, in seconds."""
        return int(self._configurations[function]["Timeout"])

    def functions(self) -> dict[str, str]:
        """The ARN of every function, by its logical id."""
        return {name: str(one["FunctionArn"]) for name, one in self._configurations.items()}

    def event(self, name: str) -> dict[str, Any]:
        """A file of events/. CloudFormation's says where to answer: here that is an object, `told_cloudformation`."""
        read: dict[str, Any] = json.loads((REPOSITORY / "events" / name).read_text())
        if "ResponseURL" in read:
            where = {"Bucket": self.stack.bucket, "Key": "told-cloudformation"}
            read["ResponseURL"] = self.stack.client("s3").generate_presigned_url("put_object", Params=where)
        return read

    def told_cloudformation(self) -> str:
        answer = self.stack.client("s3").get_object(Bucket=self.stack.bucket, Key="told-cloudformation")
        return str(json.loads(answer["Body"].read())["Status"])

    def arrive(self) -> None:
        """Puts a file of two flights, and the plan that the events are about, with it in its batch 0."""
        store = S3ObjectStore(self.stack.client("s3"), self.stack.bucket)
        self.stack.client("s3").put_object(Bucket=self.stack.bucket, Key=KEY, Body=_FLIGHTS)
        [arrival] = [found for found in store.arrivals("incoming/") if found.key == KEY]
        plan = Plan(PLAN, datetime(2026, 1, 15, 10, 11, 12, tzinfo=UTC), (Batch(0, "flights", (arrival,)),))
        store.put_json(plan_key(PLAN), plan.to_json())

    def machines(self) -> dict[str, str]:
        """The ARN of every state machine, by its logical id."""
        return self._resources("AWS::StepFunctions::StateMachine")

    @cached_property
    def _configurations(self) -> dict[str, dict[str, Any]]:
        client = self.stack.client("lambda")
        found = self._resources("AWS::Lambda::Function")
        return {name: client.get_function_configuration(FunctionName=one) for name, one in found.items()}

    def _resources(self, kind: str) -> dict[str, str]:
        """Logical id → physical id."""
        pages = self.stack.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.stack.name)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind
        }


@contextmanager
def quiet_world(**parameters: str) -> Iterator[World]:
    given = {"Stream": "provisioned", "Messages": "standard", **parameters}
    with LocalStack.temporary("quiet", parameters=given) as stack:
        client = stack.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        yield World(stack)
