"""Releases as CloudFormation, Lambda and Step Functions keep them: MiniStack publishes the versions, and deletes them.

The versions and the alias of the stack here are template.yaml's own. MiniStack knows no `StateMachineVersion` in a
template and no CodeDeploy: the test publishes the machine's, and shares out the alias. Nor does it tell of an
execution which version it runs, and gives the newest definition for each: what AWS documents is put into its answers.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from tests.contract.engines import client
from tests.template.deployment import REPOSITORY, source
from typer.testing import CliRunner

from penstock.cli import app
from penstock.cli.releases import tell_of_old
from penstock.local.deployment import Deployment
from penstock.local.releases import LONGEST_RUN, Release, prune, releases, require_unused
from penstock.model.errors import PermanentError

ROLE = "arn:aws:iam::000000000000:role/any"
FUNCTIONS = {"ListIncoming": 512, "BeginLoad": 1024, "KickOff": 512}
SNAPSHOT = 1.0 * 30 * 24 * 3600 * 0.0000015046
"""Dollars a month of BeginLoad's, of 1 GB."""


@cache
def _resources() -> dict[str, Any]:
    resources: dict[str, Any] = source()["Resources"]
    return resources


@dataclass
class Stack:
    endpoint: str
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")
    machines: dict[str, str] = field(default_factory=dict)
    """By release, its version of the machine."""
    runs: dict[str, str] = field(default_factory=dict)
    """By run, the version of the machine that it runs."""
    called: set[str] = field(default_factory=set)
    """As a policy names it."""

    def client(self, service: str) -> Any:
        made = client(service, self.endpoint)
        made.meta.events.register("before-call", self._note)
        made.meta.events.register("after-call.sfn.ListExecutions", self._name_the_versions)
        made.meta.events.register("before-call.sfn.DescribeStateMachineForExecution", self._keep_the_run)
        made.meta.events.register("after-call.sfn.DescribeStateMachineForExecution", self._give_its_definition)
        return made

    def _note(self, model: Any, **_: Any) -> None:
        service = model.service_model.service_name.replace("stepfunctions", "states")
        self.called.add(f"{service}:{model.name}")

    def _name_the_versions(self, parsed: dict[str, Any], **_: Any) -> None:
        for one in parsed.get("executions", []):
            one["stateMachineVersionArn"] = self.runs[one["name"]] or None

    def _keep_the_run(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["run"] = json.loads(params["body"])["executionArn"].rpartition(":")[2]

    def _give_its_definition(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if version := self.runs[context["run"]]:
            described = self.client("stepfunctions").describe_state_machine(stateMachineArn=version)
            parsed["definition"] = described["definition"]

    @property
    def deployment(self) -> Deployment:
        outputs = {"IngestStateMachineArn": self.machine}
        return Deployment(self.name, "here", outputs, self.client, lambda _role: "")

    @property
    def machine(self) -> str:
        return f"arn:aws:states:us-east-1:000000000000:stateMachine:{self.name}"

    def deploy(self, release: str) -> None:
        self.update(self.template_of(release))
        published = self.client("stepfunctions").publish_state_machine_version(stateMachineArn=self.machine)
        self.machines[release] = published["stateMachineVersionArn"]

    def update(self, template: dict[str, Any]) -> None:
        """Or create it."""
        cloudformation = self.client("cloudformation")
        kind = "update" if self.machines else "create"
        getattr(cloudformation, f"{kind}_stack")(StackName=self.name, TemplateBody=json.dumps(template))
        cloudformation.get_waiter(f"stack_{kind}_complete").wait(
            StackName=self.name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )

    def template_of(self, release: str) -> dict[str, Any]:
        theirs = _resources()
        made: dict[str, Any] = {}
        for function, memory in FUNCTIONS.items():
            made[function] = {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.12",
                    "Handler": "index.handler",
                    "Role": ROLE,
                    "Code": {"ZipFile": "def handler(event, context): pass"},
                    "MemorySize": memory,
                    "Description": "What it does",
                    "Environment": {"Variables": {"PENSTOCK_RELEASE": release}},
                    **({"SnapStart": {"ApplyOn": "PublishedVersions"}} if function == "BeginLoad" else {}),
                },
            }
            version = {name: one for name, one in theirs[f"{function}Version"].items() if name != "Condition"}
            made[f"{function}Version"] = {**version, "Properties": {**version["Properties"], "Description": release}}
        alias = theirs["ListIncomingAlias"]
        made["ListIncomingAlias"] = {"Type": alias["Type"], "Properties": alias["Properties"]}
        task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke"}
        states = {
            "Wait": {"Type": "Wait", "Seconds": 3600, "Next": "Load"},
            "Load": {**task, "Parameters": {"FunctionName": "${BeginLoad}"}, "Next": "KickOff"},
            "KickOff": {**task, "Parameters": {"FunctionName": "${KickOff}"}, "End": True},
        }
        made["IngestStateMachine"] = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": self.name,
                "RoleArn": ROLE,
                "DefinitionString": json.dumps({"StartAt": "Wait", "States": states}),
                "DefinitionSubstitutions": {
                    name: {"Ref": f"{name}Version"} for name in FUNCTIONS if name != "ListIncoming"
                },
            },
        }
        return {
            "Resources": made,
            "Outputs": {
                "LandingBucket": {"Value": "b"},
                "IngestStateMachineArn": {"Value": {"Ref": "IngestStateMachine"}},
            },
        }

    def run(self, name: str, machine: str) -> None:
        self.runs[name] = machine
        self.client("stepfunctions").start_execution(stateMachineArn=machine, name=name)

    def end(self, name: str) -> None:
        execution = f"{self.machine.replace(':stateMachine:', ':execution:')}:{name}"
        self.client("stepfunctions").stop_execution(executionArn=execution)

    def function(self, logical_id: str) -> str:
        found = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    @property
    def versions(self) -> dict[str, list[str]]:
        """That are there, with $LATEST, which may never go."""
        functions, machines = self.client("lambda"), self.client("stepfunctions")
        there = {
            name: [
                one["Version"]
                for one in functions.list_versions_by_function(FunctionName=self.function(name))["Versions"]
            ]
            for name in FUNCTIONS
        }
        of_machine = machines.list_state_machine_versions(stateMachineArn=self.machine)["stateMachineVersions"]
        return there | {"machine": sorted(one["stateMachineVersionArn"].rpartition(":")[2] for one in of_machine)}


@pytest.fixture(scope="module")
def looked_at(aws: str) -> Iterator[Stack]:
    """One that no test changes."""
    with deployed(aws) as made:
        yield made


@pytest.fixture
def stack(aws: str) -> Iterator[Stack]:
    with deployed(aws) as made:
        yield made


@contextmanager
def deployed(endpoint: str) -> Iterator[Stack]:
    """With four releases, the last of them live."""
    made = Stack(endpoint)
    for release in ("r1", "r2", "r3", "r4"):
        made.deploy(release)
    yield made
    for run in made.runs:
        made.end(run)
    made.client("cloudformation").delete_stack(StackName=made.name)


@pytest.fixture
def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def environment(stack: Stack) -> dict[str, str | None]:
    return {
        **{name: None for name in os.environ if name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def kept(found: list[Release]) -> dict[str, str]:
    return {one.name: one.kept for one in found}


def test_a_release_is_its_versions_with_what_they_cost(looked_at: Stack, tomorrow: datetime) -> None:
    found = releases(looked_at.deployment, tomorrow, keep=2)

    assert kept(found) == {"r4": "listings go to it", "r3": "among the last 2", "r2": "", "r1": ""}
    assert sorted((one.of, one.number) for one in found[1].versions) == [
        ("BeginLoad", 3),
        ("IngestStateMachine", 3),
        ("KickOff", 3),
        ("ListIncoming", 3),
    ]
    assert [one.listings for one in found] == [1, 0, 0, 0]
    assert [one.dollars for one in found] == [pytest.approx(SNAPSHOT)] * 4


def test_prune_deletes_the_versions_of_what_nothing_uses_and_of_nothing_else(stack: Stack, tomorrow: datetime) -> None:
    before = stack.versions

    assert [one.name for one in prune(stack.deployment, tomorrow, 2, dry_run=True)] == ["r2", "r1"]
    assert stack.versions == before
    prune(stack.deployment, tomorrow, 2, dry_run=False)

    of_function = ["$LATEST", "3", "4"]
    assert stack.versions == dict.fromkeys(FUNCTIONS, of_function) | {"machine": ["3", "4"]}
    assert prune(stack.deployment, tomorrow, 2, dry_run=False) == []


def test_what_an_alias_names_or_a_run_goes_on_with_stays(stack: Stack, tomorrow: datetime) -> None:
    stack.client("lambda").update_alias(
        FunctionName=stack.function("ListIncoming"),
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"4": 0.1}},
    )
    stack.run("of-r2", stack.machines["r2"])

    found = releases(stack.deployment, tomorrow, keep=1)

    assert kept(found) == {
        "r4": "listings go to it",
        "r3": "",
        "r2": "a run of it is going on",
        "r1": "listings go to it",
    }
    assert [one.listings for one in found] == [pytest.approx(0.1), 0, 0, pytest.approx(0.9)]
    assert [one.runs for one in found] == [[], [], ["of-r2"], []]
    assert [one.name for one in prune(stack.deployment, tomorrow, 1, dry_run=False)] == ["r3"]


def test_a_run_that_no_version_was_named_for_keeps_what_its_definition_names(stack: Stack, tomorrow: datetime) -> None:
    stack.run("by-hand", stack.machine)
    stack.runs["by-hand"] = ""

    assert releases(stack.deployment, tomorrow, keep=1)[0].runs == ["by-hand"]


def test_what_cloudformation_holds_stays_though_no_alias_names_it(stack: Stack, tomorrow: datetime) -> None:
    stack.client("lambda").delete_alias(FunctionName=stack.function("ListIncoming"), Name="live")

    assert kept(releases(stack.deployment, tomorrow, keep=0))["r4"] == "CloudFormation holds it"
    assert [one.name for one in prune(stack.deployment, tomorrow, 0, dry_run=False)] == ["r3", "r2", "r1"]


def test_a_release_that_is_taken_back_is_none_to_go_back_to(stack: Stack, tomorrow: datetime) -> None:
    cloudformation, failing = stack.client("cloudformation"), stack.template_of("r5")
    failing["Resources"] |= {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "NeverCalled": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": [f"{name}Version" for name in FUNCTIONS],
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "3"},
        },
    }

    cloudformation.update_stack(StackName=stack.name, TemplateBody=json.dumps(failing))
    with pytest.raises(PermanentError, match="is UPDATE_IN_PROGRESS: its releases can be pruned when that is over"):
        prune(stack.deployment, tomorrow, 2, dry_run=False)
    cloudformation.get_waiter("stack_rollback_complete").wait(
        StackName=stack.name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )

    found = releases(stack.deployment, tomorrow, keep=2)
    assert kept(found) == {"r5": "", "r4": "listings go to it", "r3": "among the last 2", "r2": "", "r1": ""}
    for used in ("r5", "r4", "r1"):
        with pytest.raises(PermanentError, match=f"has versions of a release {used} already"):
            require_unused(stack.deployment, used)
    require_unused(stack.deployment, "r6")


def test_when_the_canary_has_ended_nothing_is_held_and_the_last_of_it_is_replaced(stack: Stack) -> None:
    ended = stack.template_of("none")
    ended["Resources"] = {
        name: one for name, one in ended["Resources"].items() if not name.endswith(("Version", "Alias"))
    }
    ended["Resources"]["IngestStateMachine"]["Properties"]["DefinitionSubstitutions"] = dict.fromkeys(FUNCTIONS, "any")
    stack.update(ended)

    last = releases(stack.deployment, datetime.now(UTC), keep=0)[0]
    assert kept(releases(stack.deployment, last.published + LONGEST_RUN, keep=0))["r4"].startswith("replaced")
    assert len(prune(stack.deployment, last.published + timedelta(days=1), 0, dry_run=False)) == 4
    assert set(stack.versions["BeginLoad"]) == {"$LATEST"}


def test_what_was_replaced_within_the_time_of_a_run_stays(looked_at: Stack) -> None:
    found = releases(looked_at.deployment, datetime.now(UTC) + timedelta(hours=5), keep=1)

    assert kept(found)["r3"] == kept(found)["r1"] == "replaced less than six hours ago"


def test_a_version_that_somebody_published_by_hand_is_his(stack: Stack, tomorrow: datetime) -> None:
    functions, name = stack.client("lambda"), stack.function("KickOff")
    functions.update_function_configuration(FunctionName=name, Timeout=9)
    mine = functions.publish_version(FunctionName=name)["Version"]
    stack.deploy("r5")

    prune(stack.deployment, tomorrow, 1, dry_run=False)

    assert stack.versions["KickOff"] == ["$LATEST", mine, "6"]


def test_a_stack_that_holds_what_is_not_found_is_left_alone(stack: Stack, tomorrow: datetime) -> None:
    stack.client("lambda").delete_alias(FunctionName=stack.function("ListIncoming"), Name="live")
    stack.client("lambda").delete_function(FunctionName=stack.function("ListIncoming"), Qualifier="4")
    before = stack.versions

    with pytest.raises(PermanentError, match="it can't be told which releases are in use"):
        prune(stack.deployment, tomorrow, 1, dry_run=False)

    assert stack.versions == before


def test_the_command_lists_and_prunes(looked_at: Stack) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(
            app, ["releases", *arguments, "--stack", looked_at.name, "--aws"], env=environment(looked_at)
        )
        assert done.exit_code == 0, done.output
        return done.stdout

    told = json.loads(said("--json"))["releases"]
    shown = said()

    assert [one["release"] for one in told] == ["r4", "r3", "r2", "r1"]
    assert told[0]["dollars_a_month"] == round(SNAPSHOT, 2)
    assert "r3: BeginLoad 3, IngestStateMachine 3, KickOff 3, ListIncoming 3" in shown
    assert "100%" in shown
    assert "There is nothing to prune" in said("prune", "--dry-run")


def test_the_guide_names_every_permission_that_listing_and_pruning_take(stack: Stack, tomorrow: datetime) -> None:
    told = (REPOSITORY / "docs" / "deploy.md").read_text().split("Listing takes ")[1].split(".")[0]
    to_list, to_prune = (list(named(part)) for part in told.split("; pruning"))
    stack.run("of-r3", stack.machines["r3"])

    stack.called.clear()
    releases(stack.deployment, tomorrow, keep=2)
    assert stack.called == set(to_list)
    prune(stack.deployment, tomorrow, 2, dry_run=False)
    assert stack.called == {*to_list, *to_prune}


def named(text: str) -> Iterator[str]:
    """Of "`lambda:ListAliases` and `GetAlias`" both, with their service."""
    service = ""
    for one in re.findall(r"`([\w:]+)`", text):
        service = one.rpartition(":")[0] or service
        yield f"{service}:{one.rpartition(':')[2]}"


def test_a_deployment_ends_by_telling_what_nothing_uses_any_more(
    looked_at: Stack, tomorrow: datetime, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(looked_at).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)

    tell_of_old(looked_at.name, tomorrow)
    tell_of_old("no-such-stack", tomorrow)

    assert capsys.readouterr().out == (
        f"Nothing uses 2 releases of it any more, ${2 * SNAPSHOT:.2f} a month by list price of us-east-1: "
        f"penstock releases prune --stack {looked_at.name} --aws\n"
    )
