"""SnapStart: which functions begin from a snapshot, and that they could."""

from __future__ import annotations

import pytest
from tests.template.deployment import VARIANTS, deployed, of_type, source

EACH_BATCH = {"BeginLoad", "IndexBatch", "SettleBatch"}
WANTED = [name for name in VARIANTS if VARIANTS[name].get("SnapStart") == "published"]


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in WANTED])
def test_no_function_has_a_snapshot_that_was_not_asked_for(variant: str) -> None:
    functions = of_type(deployed(variant), "AWS::Lambda::Function")

    assert {name for name, one in functions.items() if "SnapStart" in one} == set()


@pytest.mark.parametrize("variant", WANTED)
def test_what_is_called_for_each_batch_has_a_snapshot_of_each_version_that_is_called(variant: str) -> None:
    resources = deployed(variant)
    functions = of_type(resources, "AWS::Lambda::Function")

    snapped = {name: one["SnapStart"] for name, one in functions.items() if "SnapStart" in one}
    assert snapped == {name: {"ApplyOn": "PublishedVersions"} for name in EACH_BATCH}
    filled = resources["IngestStateMachine"]["Properties"]["DefinitionSubstitutions"]
    for name in EACH_BATCH:
        assert filled[f"{name}Arn"] == f"{name}Version", "what is not published has none"


@pytest.mark.parametrize("variant", WANTED)
def test_a_function_with_a_snapshot_has_nothing_that_lambda_refuses_beside_one(variant: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html"""
    resources = deployed(variant)

    for name in EACH_BATCH:
        function = resources[name]["Properties"]
        assert function["Runtime"] in ("python3.12", "python3.13")
        assert "FileSystemConfigs" not in function
        assert function.get("EphemeralStorage", {"Size": 512})["Size"] <= 512
        assert "ImageUri" not in function["Code"]
    assert not [one for one in resources.values() if "ProvisionedConcurrencyConfig" in one.get("Properties", {})]


def test_a_snapshot_wants_a_canary_and_a_python_that_has_them() -> None:
    rule = source()["Rules"]["SnapshotsAreOfVersions"]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "published"]}
    assert [assertion["Assert"] for assertion in rule["Assertions"]] == [
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "Canary"}, "none"]}]},
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "PythonRuntime"}, "python3.11"]}]},
    ]


def test_the_parameter_says_what_it_costs() -> None:
    """By the list price of us-east-1: $0.0000015046 for a GB of memory and a second, of each version."""
    gigabytes = sum(deployed(WANTED[0])[name]["Properties"]["MemorySize"] for name in EACH_BATCH) / 1024

    a_month = gigabytes * 0.0000015046 * 730 * 3600

    assert f"About ${a_month:.0f} a month" in source()["Parameters"]["SnapStart"]["Description"]
