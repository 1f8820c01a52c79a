"""The pipeline on GitHub: prod comes after dev, dev after the tests, and no key of AWS is kept."""

from __future__ import annotations

import tomllib
from typing import Any

import yaml
from tests.template.deployment import REPOSITORY, source

WORKFLOWS = REPOSITORY / ".github" / "workflows"


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return read


def test_each_stage_waits_for_the_one_before() -> None:
    jobs = workflow("deploy.yml")["jobs"]

    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "check": None,
        "test": "check",
        "dev": "test",
        "prod": "dev",
    }
    assert jobs["dev"]["if"] == "github.event_name == 'push'", "a pull request deploys nothing"


def test_each_stage_is_an_environment_of_github_and_one_of_samconfig() -> None:
    known = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    stage = workflow("deploy-stage.yml")["jobs"]["deploy"]

    assert stage["environment"] == "${{ inputs.stage }}", "that is where prod's reviewers are asked"
    for job in ("dev", "prod"):
        name = workflow("deploy.yml")["jobs"][job]["with"]["stage"]
        assert known[name]["global"]["parameters"]["stack_name"] == f"penstock-{name}"


def test_aws_is_reached_by_oidc_and_no_key_is_kept() -> None:
    assert workflow("deploy-stage.yml")["permissions"] == {"contents": "read", "id-token": "write"}
    for path in WORKFLOWS.glob("*.yml"):
        text = path.read_text()
        assert "secrets." not in text
        assert "aws-access-key-id" not in text


def test_the_smoke_asks_for_an_output_that_the_template_has() -> None:
    [smoke] = [
        step for step in workflow("deploy-stage.yml")["jobs"]["deploy"]["steps"] if "Smoke" in step.get("name", "")
    ]

    assert "ListIncomingFunction" in smoke["run"]
    assert "ListIncomingFunction" in source()["Outputs"]


def test_every_step_runs_a_command_that_the_makefile_has_or_sam() -> None:
    targets = (REPOSITORY / "Makefile").read_text()

    for job in ("check", "test"):
        commands = [step["run"] for step in workflow("deploy.yml")["jobs"][job]["steps"] if "run" in step]
        assert commands
        for command in commands:
            assert f"\n{command.removeprefix('make ')}:" in targets


def test_each_environment_of_samconfig_tags_what_it_costs() -> None:
    known = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    deployed = {name: one["deploy"]["parameters"] for name, one in known.items() if isinstance(one, dict)}

    assert {name: one["tags"] for name, one in deployed.items()} == {
        name: ["project=penstock", f"stage={name}"] for name in deployed
    }


def test_each_environment_says_that_a_resource_of_iam_has_a_name_of_its_own() -> None:
    """Else CloudFormation refuses the nested stack,
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html"""
    named = [
        name
        for template in (REPOSITORY / "template.yaml", *REPOSITORY.glob("*/template.yaml"))
        for name, one in source(template)["Resources"].items()
        if one["Type"].startswith("AWS::IAM::")
        and {"RoleName", "InstanceProfileName", "ManagedPolicyName"} & one.get("Properties", {}).keys()
    ]
    known = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    granted = [one["deploy"]["parameters"]["capabilities"] for one in known.values() if isinstance(one, dict)]

    assert named == ["WorkerProfile"]
    assert granted == ["CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND"] * len(granted)
