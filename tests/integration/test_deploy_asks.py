"""`penstock deploy` on the laptop's engine: all of it is real but `sam`, which writes down what it is told."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.template.deployment import REPOSITORY
from typer.testing import CliRunner, Result

from penstock.cli import app
from penstock.local.cost import PRICES
from penstock.local.stack import LocalStack

PASSWORD = "hunter2-and-more"


@dataclass(frozen=True)
class Newcomer:
    """Sits before a terminal in the repository's folder, with credentials of the engine's account."""

    stack: LocalStack
    folder: Path

    def secret(self, name: str, held: Mapping[str, object]) -> str:
        made = self.stack.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(held))
        return str(made["ARN"])

    def deploys(self, *options: str, answers: list[str], **environment: str | None) -> Result:
        mine: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AWS_")}
        mine |= {
            "PATH": os.pathsep.join([str(self.folder), "/usr/bin", "/bin"]),
            "AWS_ENDPOINT_URL": self.stack.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        typed = "\n".join([*answers, ""])
        return CliRunner().invoke(app, ["deploy", *options], input=typed, env=mine | environment)

    @property
    def told_sam(self) -> list[str]:
        told = self.folder / "told"
        return told.read_text().splitlines() if told.exists() else []


@pytest.fixture
def newcomer(local_stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Newcomer:
    monkeypatch.chdir(REPOSITORY)
    sam = f'echo "$@" >> {tmp_path}/told; mktemp -d >> {tmp_path}/left'
    for name, script in (("sam", sam), ("python3.13", "exit 1")):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return Newcomer(local_stack, tmp_path)


def test_answers_become_what_sam_is_told_and_nothing_of_a_secret_is(newcomer: Newcomer) -> None:
    held = {"host": "db.example.com", "port": 5432, "dbname": "w", "username": "u", "password": PASSWORD}
    loader, owner = newcomer.secret("whole-loader", held), newcomer.secret("whole-owner", held)

    answers = ["postgres", "", loader, owner, "", "", "subnet-1,subnet-2", "sg-1", "ops@example.com", "500", "y"]
    done = newcomer.deploys("--env", "dev", answers=answers)

    assert done.exit_code == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "account 000000000000, region us-east-1" in done.stdout
    assert "stack penstock-dev: is new" in done.stdout
    assert "a month for 500 files" in done.stdout
    assert f"by list prices of {PRICES.region}, {PRICES.as_of}," in " ".join(done.stdout.split())
    build, deployed = newcomer.told_sam
    assert build.split()[:3] == ["build", "--config-env", "dev"]
    assert "PythonRuntime=python3.13" in build
    overrides = set(deployed.split("--parameter-overrides ")[1].split())
    assert overrides >= {
        "Warehouse=postgres",
        f"WarehouseSecretArn={loader}",
        f"WarehouseOwnerSecretArn={owner}",
        "VpcSubnetIds=subnet-1,subnet-2",
        "VpcSecurityGroupIds=sg-1",
        "NotificationEmail=ops@example.com",
        "RunLogLevel=ALL",
    }, "what samconfig.toml says is told too: on the command line it would be lost"
    assert not [one for one in overrides if one.startswith(("SearchUrl", "CreateNetwork", "Release"))]
    left = (newcomer.folder / "left").read_text().splitlines()
    assert [Path(one).exists() for one in left] == [False, False], "what sam leaves goes with the command"


def test_a_secret_that_lacks_a_field_is_named_before_anything_is_asked_further_or_built(newcomer: Newcomer) -> None:
    half = newcomer.secret("half", {"host": "db.example.com", "username": "u", "password": PASSWORD})

    done = newcomer.deploys(answers=["postgres", "", half, half, "", "", "", "", "500", "y"])

    assert done.exit_code == 1
    assert f"secret {half} has no dbname; it needs host, dbname, username, password" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert newcomer.told_sam == []


def test_an_answer_that_cloudformation_would_refuse_is_asked_again(newcomer: Newcomer) -> None:
    done = newcomer.deploys(answers=["oracle", "none", "search.example.com", "", "", "1000", "n"])

    assert "Warehouse takes postgres, redshift, none" in done.stderr
    assert "SearchUrl is empty or a URL without a path" in done.stderr
    assert "Nothing was made." in done.stdout
    assert (done.exit_code, newcomer.told_sam) == (0, [])


def test_answers_that_contradict_each_other_are_refused_before_anything_is_built(newcomer: Newcomer) -> None:
    done = newcomer.deploys(answers=["postgres", "true", "", "false", "", "", "1000", "y"])

    assert done.exit_code == 1
    assert "CreateDatabase wants CreateNetwork, or VpcId with VpcSubnetIds" in " ".join(done.stderr.split())
    assert newcomer.told_sam == []


def test_a_canary_is_given_a_release_of_its_own(newcomer: Newcomer) -> None:
    options = ["--parameter", "Canary=Canary10Percent30Minutes", "--yes"]

    done = newcomer.deploys(*options, answers=["", "", "", "1000"])

    assert done.exit_code == 0, done.stderr
    assert "Canary=Canary10Percent30Minutes Release=2" in newcomer.told_sam[1]


@pytest.mark.parametrize("name", ["a1b2c3", ""])
def test_a_release_that_was_deployed_is_refused_before_anything_is_built_and_none_is_named_anew(
    newcomer: Newcomer, name: str
) -> None:
    function = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Code": {"ZipFile": "def handler(event, context): pass"},
        "Environment": {"Variables": {"PENSTOCK_RELEASE": "a1b2c3"}},
    }
    version = {"FunctionName": {"Ref": "ListIncoming"}, "Description": "a1b2c3"}
    body = {
        "Parameters": {"Release": {"Type": "String"}},
        "Resources": {
            "ListIncoming": {"Type": "AWS::Lambda::Function", "Properties": function},
            "ListIncomingVersion": {"Type": "AWS::Lambda::Version", "Properties": version},
        },
        "Outputs": {"LandingBucket": {"Value": "b"}, "IngestStateMachineArn": {"Value": "arn:of:a:machine"}},
    }
    cloudformation = newcomer.stack.client("cloudformation")
    parameters = [{"ParameterKey": "Release", "ParameterValue": "a1b2c3"}]
    cloudformation.create_stack(StackName="penstock-prod", TemplateBody=json.dumps(body), Parameters=parameters)
    cloudformation.get_waiter("stack_create_complete").wait(StackName="penstock-prod", WaiterConfig={"Delay": 1})

    options = ["--env", "prod", "--yes", *(["--parameter", f"Release={name}"] if name else [])]
    done = newcomer.deploys(*options, answers=["", "", "", "1000"])

    cloudformation.delete_stack(StackName="penstock-prod")
    if name:
        assert "stack penstock-prod has versions of a release a1b2c3 already" in " ".join(done.stderr.split())
        assert (done.exit_code, newcomer.told_sam) == (1, [])
    else:
        assert done.exit_code == 0, done.stderr
        assert "Release=2" in newcomer.told_sam[1]


def test_what_is_deployed_is_offered_as_the_answer_and_kept(newcomer: Newcomer) -> None:
    cloudformation = newcomer.stack.client("cloudformation")
    parameter = {"Type": "String", "Default": ""}
    body = {
        "Parameters": {"NotificationEmail": parameter, "OfAnEarlierTemplate": parameter},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    }
    given = [{"ParameterKey": "NotificationEmail", "ParameterValue": "ops@example.com"}]
    cloudformation.create_stack(StackName="penstock-dev", TemplateBody=json.dumps(body), Parameters=given)
    cloudformation.get_waiter("stack_create_complete").wait(StackName="penstock-dev", WaiterConfig={"Delay": 1})

    done = newcomer.deploys("--env", "dev", "--yes", answers=["", "", "", "1000"])

    cloudformation.delete_stack(StackName="penstock-dev")
    assert done.exit_code == 0, done.stderr
    assert "stack penstock-dev: is there, and will be changed" in done.stdout
    assert "[ops@example.com]" in done.stdout
    assert "NotificationEmail" not in newcomer.told_sam[1], "what is not told stays as it is"


@pytest.mark.parametrize(
    ("without", "says"), [({"AWS_REGION": None}, "no AWS region is set"), ({"PATH": "/nowhere"}, "there is no sam")]
)
def test_what_is_missing_is_named_with_what_to_do(
    newcomer: Newcomer, without: dict[str, str | None], says: str
) -> None:
    done = newcomer.deploys(answers=[], **without)

    assert done.exit_code == 1
    assert says in done.stderr
