"""What costs are computed from is what CloudFormation would see, for every set of parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.template.deployment import TEMPLATE, VARIANTS, deployed, of_type

from penstock.local.stack_template import StackTemplate
from penstock.model.errors import PermanentError


@pytest.mark.parametrize("variant", VARIANTS)
def test_alarms_dashboards_and_memory_are_those_of_the_stack(variant: str) -> None:
    resources = deployed(variant)

    found = StackTemplate.read(TEMPLATE, VARIANTS[variant])

    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    queries = [one for one in alarms if any("SELECT" in part.get("Expression", "") for part in one.get("Metrics", []))]
    nested = 2 if VARIANTS[variant].get("Archive", "none") != "none" else 0
    nested += 1 if VARIANTS[variant].get("ArchivePartition") else 0
    nested += 1 if VARIANTS[variant].get("CreateDatabase") == "true" else 0
    assert found.alarm_queries == len(queries)
    assert found.alarm_metrics == nested + sum(
        len([part for part in one.get("Metrics", []) if "MetricStat" in part]) or 1
        for one in alarms
        if one not in queries
    )
    assert len(found.of("CloudWatch::Dashboard")) == len(of_type(resources, "AWS::CloudWatch::Dashboard"))
    functions = of_type(resources, "AWS::Lambda::Function").values()
    assert sorted(found.memory.values()) == sorted(function["MemorySize"] / 1024 for function in functions)
    assert found.machine["StartAt"] == "Work every batch"


def test_the_secrets_that_a_stack_is_given_are_paid_for() -> None:
    assert StackTemplate.read(TEMPLATE, VARIANTS["warehouse"]).secrets == 2
    assert StackTemplate.read(TEMPLATE, {}).secrets == 0


def test_what_is_billed_by_the_hour_is_found_in_nested_stacks() -> None:
    made = StackTemplate.read(TEMPLATE, VARIANTS["new database"])
    bare = StackTemplate.read(TEMPLATE, {})

    assert (made.interfaces, len(made.of("RDS::DBProxy")), made.secrets) == (
        6,
        1,
        1,
    )  # ECR's two, and logs, in two zones.
    assert made.of("RDS::DBCluster")[0]["ServerlessV2ScalingConfiguration"]["MinCapacity"] == 0.5
    assert not bare.interfaces
    assert not bare.of("RDS::DBProxy")
    assert not made.of("EC2::NatGateway")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Stream", "sometimes", "it is one of none, on-demand, provisioned"),
        ("StreamShards", "0", "it is from 1 to 10,000"),
        ("StreamShards", "two", "it is a number"),
    ],
)
def test_a_value_that_the_template_would_refuse_is_refused(name: str, value: str, told: str) -> None:
    with pytest.raises(PermanentError, match=f"--parameter {name}={value}: {told}"):
        StackTemplate.read(TEMPLATE, {name: value})


def test_a_parameter_that_the_template_does_not_have_is_named() -> None:
    with pytest.raises(PermanentError, match="has no parameter Processor"):
        StackTemplate.read(TEMPLATE, {"Processor": "arm64"})


def test_another_file_is_refused_and_says_which_option_names_the_template(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")

    with pytest.raises(PermanentError, match=r"is not Penstock's template.*--from-template"):
        StackTemplate.read(tmp_path / "template.yaml", {})


def test_parameters_that_contradict_each_other_are_told_in_the_rules_own_words() -> None:
    told = StackTemplate.read(TEMPLATE, {"Warehouse": "postgres", "CreateDatabase": "true"})

    assert any("CreateDatabase wants CreateNetwork" in why for why in told.refused)
    assert not StackTemplate.read(TEMPLATE, VARIANTS["new database"]).refused
