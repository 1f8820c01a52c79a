"""A canary: a listing, its run and each of the run's steps are of one release, and alarms take it back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import VARIANTS, deployed, of_type, source

from penstock.adapters.stepfunctions import execution_arn

STEPS = {"BeginLoad", "PollLoad", "IndexBatch", "WorkParquet", "SettleBatch", "SummariseRun", "KickOff"}


def canaries() -> dict[str, dict[str, Any]]:
    return deployed("canaries")


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "Canary" not in VARIANTS[name]])
def test_without_one_nothing_is_published_and_events_reach_the_lister_itself(variant: str) -> None:
    resources = deployed(variant)

    kinds = {resource["Type"] for resource in resources.values()}
    assert not {kind for kind in kinds if kind.endswith(("Version", "Alias")) and "Layer" not in kind}
    assert not {kind for kind in kinds if "CodeDeploy" in kind}
    assert resources["ListIncomingArrivals"]["Properties"]["FunctionName"] == "ListIncoming"
    variables = resources["ListIncoming"]["Properties"]["Environment"]["Variables"]
    assert variables["PENSTOCK_STATE_MACHINE_ARN"] == "IngestStateMachine"


def test_events_are_shared_out_between_the_listers_of_two_releases() -> None:
    resources = canaries()

    alias = resources["ListIncomingAlias"]
    assert resources["ListIncomingArrivals"]["Properties"]["FunctionName"] == "ListIncomingAlias"
    assert alias["Properties"] == {
        "Name": "live",
        "FunctionName": "ListIncoming",
        "FunctionVersion": "ListIncomingVersion.Version",
    }
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"] == {
        "ApplicationName": "CanaryApplication",
        "DeploymentGroupName": "CanaryDeployments",
    }


def test_a_lister_starts_runs_of_its_own_release_and_these_call_steps_of_it() -> None:
    resources = canaries()

    variables = resources["ListIncoming"]["Properties"]["Environment"]["Variables"]
    assert variables["PENSTOCK_STATE_MACHINE_ARN"] == "IngestVersion"
    assert resources["IngestVersion"]["Properties"]["StateMachineRevisionId"].startswith("IngestStateMachine.")
    filled = resources["IngestStateMachine"]["Properties"]["DefinitionSubstitutions"]
    called = {name: value for name, value in filled.items() if name.removesuffix("Arn") in STEPS}
    assert called == {f"{step}Arn": f"{step}Version" for step in STEPS}


def test_a_run_may_call_the_steps_of_any_release_for_it_goes_on_with_those_that_it_began_with() -> None:
    [policy] = canaries()["IngestStateMachineRole"]["Properties"]["Policies"]

    calls = [
        set(statement["Resource"])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    ]
    assert calls == [{f"{step}.Arn" for step in STEPS}, {f"{step}.Arn:*" for step in STEPS}]


def test_what_a_live_run_names_is_kept_and_a_new_release_publishes_a_new_version() -> None:
    resources = canaries()
    versions = of_type(resources, "AWS::Lambda::Version")

    assert versions == {
        f"{name}Version": {"FunctionName": name, "Description": "8bbcfb2"} for name in {"ListIncoming", *STEPS}
    }
    for name in (*versions, "IngestVersion"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        released = function["Environment"]["Variables"]["PENSTOCK_RELEASE"]
        assert released == "8bbcfb2", f"Lambda publishes no version of {name} if nothing in it has changed"


def test_the_alarms_that_take_a_release_back_are_there_and_codedeploy_may_move_the_alias() -> None:
    resources = canaries()
    group = resources["CanaryDeployments"]["Properties"]

    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaLinear10PercentEvery10Minutes"
    names = [alarm["Name"] for alarm in group["AlarmConfiguration"]["Alarms"]]
    assert names
    assert {resources[name]["Type"] for name in names} == {"AWS::CloudWatch::Alarm"}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    [policy] = resources["CanaryRole"]["Properties"]["Policies"]
    allowed = {
        action
        for one in policy["PolicyDocument"]["Statement"]
        for action in [one["Action"]]
        for action in ([action] if isinstance(action, str) else action)
    }
    assert allowed >= {"lambda:UpdateAlias", "lambda:GetAlias", "cloudwatch:DescribeAlarms"}
    [trust] = resources["CanaryRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}, "no stranger's CodeDeploy"


def test_no_listing_goes_to_a_release_before_its_tables_are_there() -> None:
    after = source()["Resources"]["ListIncomingAlias"]["Metadata"]["After"]

    assert after == {"Fn::If": ["HasDestination", {"Ref": "AppliedDatasets"}, "nothing"]}
    assert source()["Resources"]["AppliedDatasets"]["Condition"] == "HasDestination"


def test_a_canary_wants_a_release() -> None:
    rule = source()["Rules"]["CanaryHasARelease"]

    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Canary"}, "none"]}]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Release"}, ""]}]}


def test_an_execution_of_a_version_is_found_by_the_machines_name() -> None:
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:ingest"

    found = {execution_arn(one, "p1") for one in (machine, f"{machine}:7")}

    assert found == {"arn:aws:states:eu-west-1:123456789012:execution:ingest:p1"}


@pytest.mark.parametrize("rule", ["EndedRuns", "FailedRuns"])
def test_the_end_of_a_run_is_heard_of_whether_or_not_its_event_names_the_version(rule: str) -> None:
    """DescribeExecution, which the event is like, "returns that ARN" of a version, and no page says in which field:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html"""
    heard = canaries()[rule]["Properties"]["EventPattern"]["detail"]["stateMachineArn"]

    *exactly, versions = heard

    assert exactly == ["IngestStateMachine", "BackfillStateMachine"]
    assert versions["prefix"].replace("$", "") == "IngestStateMachine:"
