"""The machines under test: the real definitions, with their substitutions filled as a deployment would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
PATH = REPOSITORY / "statemachines" / "ingest.asl.yaml"
BACKFILL = REPOSITORY / "statemachines" / "backfill.asl.yaml"
REBUILD_VIEWS = REPOSITORY / "statemachines" / "rebuild_views.asl.yaml"

FUNCTIONS = {
    "BeginLoadArn": "BeginLoad",
    "PollLoadArn": "PollLoad",
    "IndexBatchArn": "IndexBatch",
    "WorkParquetArn": "WorkParquet",
    "SettleBatchArn": "SettleBatch",
    "SummariseRunArn": "SummariseRun",
    "KickOffArn": "KickOff",
}
"""Substitution → the function's logical id in template.yaml."""

SUBSTITUTIONS = {
    **{name: f"arn:aws:lambda:us-east-1:123456789012:function:{function}" for name, function in FUNCTIONS.items()},
    "TaskCluster": "tasks",
    "TaskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/huge:1",
    "TaskSubnetIds": "subnet-1,subnet-2",
    "TaskSecurityGroupIds": "sg-1",
    "RunTopicArn": "arn:aws:sns:us-east-1:123456789012:runs",
    "MaxParallelBatches": "2",
}

BACKFILL_SUBSTITUTIONS = {
    **{name: value for name, value in SUBSTITUTIONS.items() if name != "MaxParallelBatches"},
    "PlanBackfillArn": "arn:aws:lambda:us-east-1:123456789012:function:PlanBackfill",
    "MaxBackfillBatches": "2",
    "LandingBucketName": "landing",
}

REBUILD_VIEWS_SUBSTITUTIONS = {
    "LandingBucket": "landing",
    "RebuildViewsArn": "arn:aws:lambda:us-east-1:123456789012:function:RebuildViews",
}

_SUBSTITUTIONS_OF = {
    PATH: SUBSTITUTIONS,
    BACKFILL: BACKFILL_SUBSTITUTIONS,
    REBUILD_VIEWS: REBUILD_VIEWS_SUBSTITUTIONS,
}


def raw_definition(path: Path = PATH) -> dict[str, Any]:
    """As it stands in the file: `${…}` and all."""
    definition: dict[str, Any] = yaml.safe_load(path.read_text())
    return definition


def definition(path: Path = PATH) -> dict[str, Any]:
    text = path.read_text()
    for name, value in _SUBSTITUTIONS_OF[path].items():
        assert f"${{{name}}}" in text, f"nothing in the definition asks for {name}"
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text, "the definition asks for a substitution that the template does not fill"
    filled: dict[str, Any] = yaml.safe_load(text)
    return filled


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state with its name, those inside Map and Parallel too."""
    for name, state in machine["States"].items():
        yield name, state
        for branch in state.get("Branches", []):
            yield from states(branch)
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])
