"""Parameters: each is explained, guarded and found in the console and in docs/deploy.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.template.deployment import DOMAIN, LOADER, REPOSITORY, VARIANTS, WORKGROUP, source

PARAMETERS = source()["Parameters"]
NESTED = "AWS::CloudFormation::Stack"
STAYS = {
    "AWS::S3::Bucket": "The landing bucket stays",
    "AWS::RDS::DBCluster": "leaves a last snapshot of its cluster",
    "AWS::Lambda::Version": "Versions of functions and of the machine, of a canary, go with their function",
    "AWS::StepFunctions::StateMachineVersion": "Versions of functions and of the machine",
}
"""What a deleted stack leaves, by the template, and what the guide says of it."""


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
    rows = re.findall(r"^\| (`.+?) \|", section("## Parameters").partition("\n### ")[0], re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == PARAMETERS.keys()


def test_defaults_in_the_deployment_guide_are_the_templates() -> None:
    table = section("## Parameters").partition("\n### ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|(.*?)\| .+ \|$", table, re.MULTILINE)

    for names, told in rows:
        defaults = [str(PARAMETERS[name]["Default"]) for name in re.findall(r"`(\w+)`", names)]
        values = [plain(value) for value in told.strip().split(", ")]
        assert values in (defaults, list(dict.fromkeys(defaults))), names
    assert len(rows) > 50


def plain(told: str) -> str:
    """A default as the template has it: `none` of a list of choices is one, and none is no text."""
    if told == "none":
        return ""
    number, _, unit = told.replace(",", "").partition(" ")
    return str(int(number) * 2**30) if unit == "GiB" else told.strip("`").replace(",", "")


@pytest.mark.parametrize("stack", [name for name, one in source()["Resources"].items() if one["Type"] == NESTED])
def test_every_parameter_of_a_nested_template_is_in_the_guide_and_given_or_said_to_be_left(stack: str) -> None:
    properties = source()["Resources"][stack]["Properties"]
    template = source(REPOSITORY / properties["TemplateURL"])
    [row] = re.findall(rf"^\| `{properties['TemplateURL']}`, (.+) \|$", section("### Of the nested"), re.MULTILINE)
    made_with, _, told = row.partition(" | ")

    assert made_with.strip("`") in PARAMETERS
    own = template["Parameters"].keys()
    assert own <= set(re.findall(r"`(\w+)`", told))
    assert own - properties["Parameters"].keys() == set(re.findall(r"`(\w+)`: nothing", told))
    for name in own:
        assert template["Parameters"][name]["Description"], name


def test_what_stays_behind_is_said_where_the_teardown_is() -> None:
    told = section("## Take it down")
    templates = [REPOSITORY / "template.yaml", *REPOSITORY.glob("*/template.yaml")]
    kept = {one["Type"] for path in templates for one in source(path)["Resources"].values() if stays(one)}

    assert kept == STAYS.keys()
    for words in STAYS.values():
        assert words in " ".join(told.split())
    assert "DeletionProtection=false" in told


def stays(resource: dict[str, Any]) -> bool:
    return str(resource.get("DeletionPolicy", "Delete")) != "Delete"


def section(heading: str) -> str:
    """Of docs/deploy.md, up to the next heading of its rank."""
    guide = (REPOSITORY / "docs" / "deploy.md").read_text()
    rank = heading.split(" ")[0]
    return guide[guide.index(f"\n{heading}") :].split(f"\n{rank} ")[1]


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
