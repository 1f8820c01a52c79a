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
    assert found.alarm_metrics == sum(
        len([one for one in alarm.get("Metrics", []) if "MetricStat" in one]) or 1 for alarm in alarms
    )
    assert found.dashboards == len(of_type(resources, "AWS::CloudWatch::Dashboard"))
    functions = of_type(resources, "AWS::Lambda::Function").values()
    assert sorted(found.memory.values()) == sorted(function["MemorySize"] / 1024 for function in functions)
    assert found.machine["StartAt"] == "Work every batch"


def test_the_secrets_that_a_stack_is_given_are_paid_for() -> None:
    assert StackTemplate.read(TEMPLATE, VARIANTS["warehouse"]).secrets == 2
    assert StackTemplate.read(TEMPLATE, {}).secrets == 0


def test_a_parameter_that_the_template_does_not_have_is_named() -> None:
    with pytest.raises(PermanentError, match="has no parameter Processor"):
        StackTemplate.read(TEMPLATE, {"Processor": "arm64"})


def test_another_file_is_refused_and_says_which_option_names_the_template(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")

    with pytest.raises(PermanentError, match=r"is not Penstock's template.*--from-template"):
        StackTemplate.read(tmp_path / "template.yaml", {})
