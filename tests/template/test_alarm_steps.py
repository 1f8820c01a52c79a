"""What an alarm's owner reads at 3 a.m.: three steps, each of which names only what is there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main
from tests.template.deployment import source

from penstock.cli.app import app

TEMPLATE = source()
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined] # It is a group.
LONGEST_STACK_NAME = "s" * 128
NOT_OURS = {
    *("CloudWatch", "CloudTrail", "EventBridge", "OpenSearch"),
    *("IncomingBytes", "IncomingRecords", "PutRecords", "ShardId"),  # Kinesis's
    *("MemorySize",),  # A property of a function.
}


def description(name: str) -> str:
    """As its owner reads it, where the stack's name is as long as one may be."""
    text = ALARMS[name]["AlarmDescription"]
    if isinstance(text, dict):
        text = text["Fn::Sub"].replace("${AWS::StackName}", LONGEST_STACK_NAME)
        return re.sub(r"\$\{(\w+)\}", lambda found: str(TEMPLATE["Parameters"][found[1]]["Default"]), text)
    return str(text)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_it_is_and_the_first_three_steps(name: str) -> None:
    what, *steps = description(name).split("\n")

    assert what
    assert [step[:4] for step in steps] == ["What", "(1) ", "(2) ", "(3) "]
    assert len(description(name)) <= 1024, "CloudWatch takes no more"
    assert "${" not in description(name)


@pytest.mark.parametrize("name", ALARMS)
def test_a_step_names_only_commands_options_and_logs_that_are_there(name: str) -> None:
    for words in re.findall(r"`penstock ([^`]+)`", description(name)):
        command, *rest = words.split()
        assert command in COMMANDS, words
        options = {option for parameter in COMMANDS[command].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, words
        if "--aws" in rest:
            assert rest[rest.index("--stack") + 1] == LONGEST_STACK_NAME
    logs = {
        str(resource["Properties"]["LogGroupName"]["Fn::Sub"]).replace("${AWS::StackName}", LONGEST_STACK_NAME)
        for resource in TEMPLATE["Resources"].values()
        if resource["Type"] == "AWS::Logs::LogGroup"
    }
    assert set(re.findall(r"`aws logs tail ([^`]+)`", description(name))) <= logs


@pytest.mark.parametrize("name", ALARMS)
def test_a_step_names_only_parameters_and_resources_that_are_there(name: str) -> None:
    known = TEMPLATE["Parameters"].keys() | TEMPLATE["Resources"].keys() | NOT_OURS
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", description(name)))

    assert named <= known
    assert set(re.findall(r"\b(\w+)=", description(name))) <= TEMPLATE["Parameters"].keys()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_the_topic_when_it_rings_and_when_it_is_over(name: str) -> None:
    assert ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"] == [{"Ref": "RunTopic"}]
