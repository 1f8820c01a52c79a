"""The task for huge files: it is there while a run names it, is told all that it has to know, and can write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.template.deployment import REPOSITORY, VARIANTS, deployed, of_type
from tests.template.test_permissions import allowed, roles

ON_POSTGRES, ON_REDSHIFT = "in a new network", "Redshift from a new network"


def container(variant: str) -> dict[str, Any]:
    [one] = deployed(variant)["HugeFileTask"]["Properties"]["ContainerDefinitions"]
    found: dict[str, Any] = one
    return found


@pytest.mark.parametrize("machine", ["Ingest", "Backfill"])
def test_a_run_starts_the_task_that_it_began_with_also_after_a_deployment(machine: str) -> None:
    """A revision that is replaced is deregistered, and no task starts from it:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deregister-task-definition-v2.html"""
    resources = deployed(ON_POSTGRES)
    task = resources["HugeFileTask"]

    [statements] = (
        policy["PolicyDocument"]["Statement"]
        for policy in resources[f"{machine}StateMachineRole"]["Properties"]["Policies"]
    )

    assert (task["UpdateReplacePolicy"], task["DeletionPolicy"]) == ("Retain", "Delete")
    [runs] = [one["Resource"] for one in statements if one["Action"] == "ecs:RunTask"]
    assert runs.endswith(f":task-definition/{task['Properties']['Family']}:*")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_machine_that_waits_for_tasks_may_have_their_rule_made_though_there_is_no_task(variant: str) -> None:
    """AWS makes it with the machine, and else says "is not authorized to create managed-rule":
    https://github.com/terraform-aws-modules/terraform-aws-step-functions/issues/11"""
    rule = "arn:aws:events:eu-west-1:123456789012:rule/StepFunctionsGetEventsForECSTaskRule"
    found = roles(variant)

    waiting = [file.name for file in (REPOSITORY / "statemachines").glob("*.yaml") if ".sync" in file.read_text()]

    assert sorted(waiting) == ["backfill.asl.yaml", "ingest.asl.yaml"]
    for machine in ("Backfill", "Ingest"):
        made = {action for action, resource in allowed(found[f"{machine}StateMachineRole"]) if resource == rule}
        assert made == {"events:PutTargets", "events:PutRule", "events:DescribeRule"}


def test_its_root_is_read_only_and_what_python_writes_has_a_volume_that_nobody_owns_alone() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html: without VOLUME it is root's."""
    definition = deployed(ON_POSTGRES)["HugeFileTask"]["Properties"]

    [volume] = re.findall(r"^VOLUME (\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)

    assert Path(volume).name == "tmp"
    assert container(ON_POSTGRES)["ReadonlyRootFilesystem"] is True
    assert container(ON_POSTGRES)["MountPoints"] == [{"SourceVolume": "tmp", "ContainerPath": volume}]
    assert definition["Volumes"] == [{"Name": "tmp"}]


@pytest.mark.parametrize("variant", [ON_POSTGRES, ON_REDSHIFT])
def test_it_is_told_of_the_warehouse_what_the_functions_are_told(variant: str) -> None:
    index_batch = deployed(variant)["IndexBatch"]["Properties"]["Environment"]["Variables"]
    of_warehouse = ("PENSTOCK_WAREHOUSE", "PENSTOCK_REDSHIFT")
    place = {name: value for name, value in index_batch.items() if name.startswith(of_warehouse)}

    told = {one["Name"]: one["Value"] for one in container(variant)["Environment"]}

    assert place.items() <= told.items()


def test_it_may_ask_redshift_what_is_loaded() -> None:
    [policy] = of_type(deployed(ON_REDSHIFT), "AWS::IAM::ManagedPolicy").values()

    assert "HugeFileTaskRole" in policy["Roles"]


@pytest.mark.parametrize("machine", ["Ingest", "Backfill"])
def test_without_one_the_definition_still_names_a_cluster_for_an_empty_text_is_null_in_yaml(machine: str) -> None:
    filled = {
        variant: deployed(variant)[f"{machine}StateMachine"]["Properties"]["DefinitionSubstitutions"]["TaskCluster"]
        for variant in ("as it comes", ON_POSTGRES)
    }

    assert filled == {"as it comes": "none", ON_POSTGRES: "tasks"}
