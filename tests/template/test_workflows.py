"""The pipeline on GitHub: prod comes after dev, dev after the tests, and no key of AWS is kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.template.deployment import REPOSITORY, source

WORKFLOWS = REPOSITORY / ".github" / "workflows"
ATTEMPT = {
    "github.sha": "e8d9c2544d6dd2c3b3ae9fbf7f6e8b3e1a2b3c4d",
    "github.run_id": "12345678901",
    "github.run_attempt": "10",
}


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text())
    return read


def step(name: str) -> str:
    """The script of a step of a stage."""
    steps = workflow("deploy-stage.yml")["jobs"]["deploy"]["steps"]
    [script] = [one["run"] for one in steps if one.get("name", "").startswith(name)]
    return str(script)


def release() -> dict[str, str]:
    """A stage's own, as GitHub would fill it in."""
    name = workflow("deploy-stage.yml")["jobs"]["deploy"]["env"]["RELEASE"]
    return {"RELEASE": re.sub(r"\$\{\{ (\S+) \}\}", lambda found: ATTEMPT[found[1]], name)}


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


def test_the_guides_roles_trust_the_environments_that_the_stages_run_in() -> None:
    [given] = re.findall(r"```json\n(.*?)```", (REPOSITORY / "docs" / "deploy.md").read_text(), re.DOTALL)
    [statement] = json.loads(given)["Statement"]

    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:<owner>/<repository>:environment:<stage>",
        }
    }, "StringLike, or no audience, would let others in"
    steps = workflow("deploy-stage.yml")["jobs"]["deploy"]["steps"]
    [assumed] = [one["with"] for one in steps if "configure-aws-credentials" in one.get("uses", "")]
    assert assumed == {"role-to-assume": "${{ vars.AWS_ROLE_ARN }}", "aws-region": "${{ vars.AWS_REGION }}"}


def test_each_attempt_is_a_release_of_its_own_beside_all_that_its_stage_says(tmp_path: Path) -> None:
    before = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    shutil.copy(REPOSITORY / "samconfig.toml", tmp_path)

    subprocess.run(["bash", "-euc", step("Name the release")], cwd=tmp_path, env=os.environ | release(), check=True)

    after = tomllib.loads((tmp_path / "samconfig.toml").read_text())
    for stage in ("dev", "prod"):
        said = before[stage]["deploy"]["parameters"].pop("parameter_overrides")
        assert after[stage]["deploy"]["parameters"].pop("parameter_overrides") == [
            f"Release={release()['RELEASE']}",
            *said,
        ]
    assert after == before, "nothing else is touched"
    assert re.search(source()["Parameters"]["Release"]["AllowedPattern"], release()["RELEASE"])
    for one in ATTEMPT.values():
        assert one in release()["RELEASE"], "of a release that was taken back Lambda publishes nothing a second time"


def test_prod_goes_over_by_a_canary_for_which_the_job_has_the_time() -> None:
    known = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    prod, dev = (dict(one.split("=") for one in overrides(known[stage])) for stage in ("prod", "dev"))

    [(share, minutes)] = re.findall(r"^Canary(\d+)Percent(\d+)Minutes$", prod["Canary"])
    assert int(share) < 50
    assert int(minutes) + 20 <= workflow("deploy-stage.yml")["jobs"]["deploy"]["timeout-minutes"] <= 60, (
        "the session of a role lasts an hour, if it is not made longer"
    )
    assert "Canary" not in dev, "sam sync wants none"


def overrides(section: dict[str, Any]) -> list[str]:
    found: list[str] = section["deploy"]["parameters"]["parameter_overrides"]
    return found


@pytest.mark.parametrize(
    ("live", "answer", "says"),
    [
        (release()["RELEASE"], {"StatusCode": 200, "ExecutedVersion": "7"}, ""),
        ("8bbcfb2", {"StatusCode": 200, "ExecutedVersion": "6"}, "arrivals call release 8bbcfb2 and not"),
        (release()["RELEASE"], {"StatusCode": 200, "FunctionError": "Unhandled"}, "the listing failed"),
    ],
)
def test_the_smoke_fails_if_arrivals_call_another_release_or_the_listing_fails(
    live: str, answer: dict[str, Any], says: str, tmp_path: Path
) -> None:
    [output] = re.findall(r"OutputKey=='(\w+)'", step("Smoke"))
    aws = tmp_path / "aws"
    aws.write_text(
        f"""#!/bin/sh
        case "$1 $2" in
          "cloudformation describe-stacks") echo arn:of:the:alias ;;
          "lambda get-function-configuration") [ "$4" = arn:of:the:alias ] && echo {live} ;;
          "lambda invoke") [ "$4" = arn:of:the:alias ] && echo '{{}}' > answer.json && echo '{json.dumps(answer)}' ;;
        esac"""
    )
    aws.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step("Smoke")],
        cwd=tmp_path,
        env=os.environ | release() | {"STAGE": "prod", "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode == 0) == (not says), ran.stderr
    assert says in ran.stderr
    assert source()["Outputs"][output]["Value"] == {
        "Fn::If": ["Canaries", {"Ref": "ListIncomingAlias"}, {"Fn::GetAtt": ["ListIncoming", "Arn"]}]
    }, "what the queue's mapping calls"


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
