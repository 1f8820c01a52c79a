"""Whose cost it is: samconfig.toml tags the stack, CloudFormation what it makes; what it can't tag costs nothing."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from tests.template.definition_json import definitions
from tests.template.deployment import REPOSITORY, VARIANTS, deployed, source

NESTED = ("archive", "database", "network", "pipeline")
FREE = {
    "AWS::EC2::SecurityGroupIngress": "a rule of a group",
    "AWS::EC2::SubnetRouteTableAssociation": "a line in a route table",
    "AWS::IAM::InstanceProfile": "a name of a role",
    "AWS::IAM::ManagedPolicy": "a policy",
    "AWS::Lambda::Alias": "a name of a version",
    "AWS::Lambda::EventInvokeConfig": "a setting",
    "AWS::Lambda::LayerVersion": "its bytes count among the account's 75 GB, which are free",
    "AWS::Lambda::Permission": "a policy",
    "AWS::Lambda::Version": "bytes as a layer's; what is called is the function",
    "AWS::Logs::LogStream": "its lines are the log group's",
    "AWS::RDS::DBProxyTargetGroup": "a setting of the proxy, which is tagged",
    "AWS::S3::BucketPolicy": "a policy",
    "AWS::SNS::Subscription": "a mail address",
    "AWS::SNS::TopicPolicy": "a policy",
    "AWS::SQS::QueuePolicy": "a policy",
    "AWS::StepFunctions::StateMachineVersion": "a name of a revision",
}


def types() -> set[str]:
    """Of all that is ever made, but custom resources, which are calls."""
    made = {one["Type"] for variant in VARIANTS for one in deployed(variant).values()}
    for name in NESTED:
        made |= {one["Type"] for one in source(REPOSITORY / name / "template.yaml")["Resources"].values()}
    return {kind for kind in made if kind.startswith("AWS::")}


def takes_tags(kind: str) -> bool:
    """By CloudFormation's own schema of it."""
    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("eu-west-1", kind).schema
    tagging = schema["tagging"]
    return bool(tagging["taggable"] and tagging.get("tagOnCreate", True))


def test_what_costs_something_takes_the_stacks_tags() -> None:
    assert {kind for kind in types() if not takes_tags(kind)} == FREE.keys()


def test_no_resource_has_tags_in_the_place_of_the_stacks() -> None:
    """`Name` is what the console shows of a network; no other is set, for it would win over the stack's."""
    for name in NESTED:
        for resource in source(REPOSITORY / name / "template.yaml")["Resources"].values():
            tags = resource.get("Properties", {}).get("Tags", [])
            assert {tag["Key"] for tag in tags} <= {"Name"}


@pytest.mark.parametrize("machine", ["ingest", "backfill"])
def test_a_task_has_the_tags_of_its_definition(machine: str) -> None:
    tasks = list(_tasks(definitions()[f"{machine}.asl.json"]))

    assert len(tasks) == 2
    assert [task["Parameters"]["PropagateTags"] for task in tasks] == ["TASK_DEFINITION"] * 2


def _tasks(node: Any) -> list[dict[str, Any]]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [task for child in children for task in _tasks(child)]
    if isinstance(node, dict) and node.get("Resource") == "arn:aws:states:::ecs:runTask.sync":
        found.append(node)
    return found
