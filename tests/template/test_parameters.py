"""Parameters: each is explained, guarded and found in the console and in docs/deploy.md."""

from __future__ import annotations

import re

import pytest
from tests.template.deployment import DOMAIN, LOADER, REPOSITORY, VARIANTS, WORKGROUP, source

PARAMETERS = source()["Parameters"]


def test_every_parameter_says_what_it_is_and_what_it_takes() -> None:
    for name, parameter in PARAMETERS.items():
        assert parameter["Description"], name
        guarded = {"AllowedValues", "AllowedPattern", "MinValue"} & parameter.keys()
        assert guarded or parameter["Type"] == "CommaDelimitedList", name


def test_every_parameter_is_shown_in_one_group_of_the_console() -> None:
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    shown = [name for group in groups for name in group["Parameters"]]

    assert sorted(shown) == sorted(PARAMETERS)


def test_every_parameter_is_in_the_deployment_guide() -> None:
    guide = (REPOSITORY / "docs" / "deploy.md").read_text()

    rows = re.findall(r"^\| (`.+?) \|", guide, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == PARAMETERS.keys()


def test_every_warehouse_that_the_code_has_is_offered() -> None:
    assert sorted(PARAMETERS["Warehouse"]["AllowedValues"]) == ["none", "postgres", "redshift"]


@pytest.mark.parametrize(
    ("parameter", "taken", "refused"),
    [
        ("WarehouseSecretArn", LOADER, "penstock/loader"),
        ("WarehouseHost", "flights.proxy-abc.eu-west-1.rds.amazonaws.com", "postgresql://flights"),
        ("VpcId", "vpc-0a1b2c3d", "10.0.0.0/16"),
        ("WarehouseResourceId", "prx-0123456789abcdef0", "flights"),
        ("RedshiftWorkgroupArn", WORKGROUP, "flights"),
        ("RedshiftCluster", "flights-1", "Flights"),
        ("RedshiftLoader", "ROLE penstock_loader", "a b"),
        ("SearchUrl", "https://search.example.com", "search.example.com"),
        ("SearchDomainArn", DOMAIN, "flights"),
        ("DataPipelineId", "df-0123456789ABCDEFGHIJ", "my-pipeline"),
        ("TaskImage", "images.example.com/penstock-task:1", "penstock-task"),
        ("TaskCluster", "tasks", "arn:aws:ecs:eu-west-1:123456789012:cluster/tasks"),
        ("KickOffStateMachines", "after-load-*", "*-load"),
        ("NotificationEmail", "ops@example.com", "ops"),
        ("ReconcileSchedule", "cron(0 3 * * ? *)", "daily"),
    ],
)
def test_a_pattern_takes_nothing_and_what_is_right_and_refuses_the_rest(
    parameter: str, taken: str, refused: str
) -> None:
    pattern = PARAMETERS[parameter]["AllowedPattern"]

    assert re.search(pattern, "")
    assert re.search(pattern, taken)
    assert not re.search(pattern, refused)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variants_that_are_tested_hold_only_values_that_the_template_takes(variant: str) -> None:
    for name, value in VARIANTS[variant].items():
        parameter = PARAMETERS[name]
        assert value in [str(one) for one in parameter.get("AllowedValues", [value])]
        assert re.search(parameter.get("AllowedPattern", ""), value)


def test_what_an_operator_and_a_producer_need_is_an_output() -> None:
    assert source()["Outputs"].keys() >= {
        "LandingBucket",
        "LeaseTable",
        "IngestStateMachineArn",
        "RunTopicArn",
        "ArrivalsQueueUrl",
        "ArrivalsDeadLetterQueueUrl",
        "UndeliveredQueueUrl",
        "ReconcileFunction",
        "ListIncomingFunction",
    }


def test_a_default_that_fits_no_32_bits_is_quoted() -> None:
    """Else it may reach a function as 8.6E9: https://github.com/aws/serverless-application-model/issues/200"""
    defaults = {name: parameter["Default"] for name, parameter in PARAMETERS.items() if "Default" in parameter}

    assert not {name: one for name, one in defaults.items() if isinstance(one, int) and one >= 2**31}
