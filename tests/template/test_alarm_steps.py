"""What an alarm's owner reads at 3 a.m.: three steps, each of which names only what is there."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main
from tests.template.deployment import REPOSITORY, source

from penstock.cli.app import app

NESTED = {
    folder: source(REPOSITORY / folder / "template.yaml") for folder in ("archive", "database", "network", "pipeline")
}
TEMPLATES = {"": source(), **NESTED}
ALARMS = {
    (folder, name): resource["Properties"]
    for folder, template in TEMPLATES.items()
    for name, resource in template["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
KNOWN = {name for template in TEMPLATES.values() for name in (*template["Parameters"], *template["Resources"])}
Alarm = tuple[str, str]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined] # It is a group.
LONGEST_STACK_NAME = "s" * 128  # A nested one's name is cut off there, too.
NOT_OURS = {
    *("CloudWatch", "CloudTrail", "EventBridge", "OpenSearch"),
    *("IncomingBytes", "IncomingRecords", "PutRecords", "ShardId"),  # Kinesis's
    *("MemorySize",),  # A property of a function.
}


def description(name: Alarm) -> str:
    """As its owner reads it, where the stack's name is as long as one may be."""
    text = ALARMS[name]["AlarmDescription"]
    if isinstance(text, dict):
        parameters = TEMPLATES[name[0]]["Parameters"]
        text = text["Fn::Sub"].replace("${AWS::StackName}", LONGEST_STACK_NAME)
        return re.sub(r"\$\{(\w+)\}", lambda found: str(parameters[found[1]]["Default"]), text)
    return str(text)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_it_is_and_the_first_three_steps(name: Alarm) -> None:
    what, *steps = description(name).split("\n")

    assert what
    assert [step[:4] for step in steps] == ["What", "(1) ", "(2) ", "(3) "]
    assert len(description(name)) <= 1024, "CloudWatch takes no more"
    assert "${" not in description(name)


def test_the_guides_name_each_alarm() -> None:
    guides = "".join((REPOSITORY / "docs" / page).read_text() for page in ("operations.md", "streams.md"))

    for _, name in ALARMS:
        assert f"`{name}`" in guides, name


@pytest.mark.parametrize("name", ALARMS)
def test_a_step_names_only_commands_options_and_logs_that_are_there(name: Alarm) -> None:
    for words in re.findall(r"`penstock ([^`]+)`", description(name)):
        command, *rest = words.split()
        assert command in COMMANDS, words
        options = {option for parameter in COMMANDS[command].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, words
        if "--aws" in rest:
            assert rest[rest.index("--stack") + 1] == LONGEST_STACK_NAME
    logs = {
        str(resource["Properties"]["LogGroupName"]["Fn::Sub"]).replace("${AWS::StackName}", LONGEST_STACK_NAME)
        for resource in TEMPLATES[name[0]]["Resources"].values()
        if resource["Type"] == "AWS::Logs::LogGroup" and "LogGroupName" in resource["Properties"]
    }
    assert set(re.findall(r"`aws logs tail ([^`]+)`", description(name))) <= logs


@pytest.mark.parametrize("name", ALARMS)
def test_a_step_names_only_parameters_and_resources_that_are_there(name: Alarm) -> None:
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", description(name)))

    assert named <= KNOWN | NOT_OURS
    assert set(re.findall(r"\b(\w+)=", description(name))) <= TEMPLATES[""]["Parameters"].keys()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_the_topic_when_it_rings_and_when_it_is_over(name: Alarm) -> None:
    topic = "TopicArn" if name[0] else "RunTopic"

    assert ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"] == [{"Ref": topic}]


def test_a_nested_template_that_has_alarms_is_handed_the_topic() -> None:
    for folder in {folder for folder, _ in ALARMS if folder}:
        [nested] = [
            one["Properties"]
            for one in TEMPLATES[""]["Resources"].values()
            if one.get("Properties", {}).get("TemplateURL") == f"{folder}/template.yaml"
        ]
        assert nested["Parameters"]["TopicArn"] == {"Ref": "RunTopic"}


def test_no_template_is_left_out() -> None:
    there = {path.parent.name for path in REPOSITORY.glob("*/template.yaml")}

    assert there == NESTED.keys()
