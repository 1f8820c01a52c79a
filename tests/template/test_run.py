"""The run's machine and functions, the lease table, and who is told: what their settings have to agree on."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from tests.template.deployment import REPOSITORY, VARIANTS, deployed, of_type, source

from penstock.wiring import Settings

FUNCTIONS = {
    "ListIncoming",
    "BeginLoad",
    "PollLoad",
    "IndexBatch",
    "WorkParquet",
    "SettleBatch",
    "SummariseRun",
    "KickOff",
    "ApplyDatasets",
    "Reconcile",
    "PlanBackfill",
    "RebuildViews",
    "ProcessStream",
    "WatchRate",
    "PackMessages",
}
CALLED_FROM_ELSEWHERE = {
    "ListIncoming",
    "PlanBackfill",
    "ApplyDatasets",
    "Reconcile",
    "RebuildViews",
    "ProcessStream",
    "WatchRate",
    "PackMessages",
}
DEFINITION = REPOSITORY / "statemachines" / "ingest.asl.yaml"


def machine(variant: str = "all of it") -> dict[str, Any]:
    properties: dict[str, Any] = deployed(variant)["IngestStateMachine"]["Properties"]
    return properties


def tasks(definition: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for state in definition["States"].values():
        if state["Type"] == "Task":
            found.append(state)
        for inner in (*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])):
            found.extend(tasks(inner))
    return found


def test_every_substitution_is_used_and_every_placeholder_is_filled() -> None:
    wanted = set(re.findall(r"\$\{(\w+)\}", DEFINITION.read_text()))

    assert machine()["DefinitionSubstitutions"].keys() == wanted


def test_a_substitution_that_ends_in_arn_is_the_function_or_topic_of_that_name() -> None:
    filled = machine()["DefinitionSubstitutions"]

    assert filled.pop("MaxParallelBatches") == "8"
    assert filled.pop("TaskDefinitionArn") == "HugeFileTask"
    arns = {name: value for name, value in filled.items() if name.endswith("Arn")}
    assert arns == {name: "RunTopic" if name == "RunTopicArn" else f"{name.removesuffix('Arn')}.Arn" for name in arns}
    assert filled.keys() - arns.keys() == {"TaskCluster", "TaskSubnetIds", "TaskSecurityGroupIds"}


def test_the_machine_is_standard_traced_and_logs_no_data() -> None:
    assert machine()["StateMachineType"] == "STANDARD"
    assert machine()["TracingConfiguration"] == {"Enabled": True}
    logging = machine()["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False
    assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": "IngestLogs.Arn"}}]


def test_a_task_waits_longer_than_its_function_may_run() -> None:
    functions = of_type(deployed("all of it"), "AWS::Lambda::Function")
    called = {}
    for task in tasks(yaml.safe_load(DEFINITION.read_text())):
        placeholder = re.fullmatch(r"\$\{(\w+)Arn\}", task["Parameters"].get("FunctionName", ""))
        if placeholder:
            called[placeholder[1]] = task["TimeoutSeconds"]

    assert called.keys() == FUNCTIONS - CALLED_FROM_ELSEWHERE
    for name, patience in called.items():
        assert patience > functions[name]["Timeout"], name


def test_the_leases_outlive_the_machines_own_timeout() -> None:
    longest = yaml.safe_load(DEFINITION.read_text())["TimeoutSeconds"]

    backstop = deployed("as it comes")["ListIncoming"]["Properties"]["Environment"]["Variables"]["PENSTOCK_RUN_SECONDS"]

    assert int(backstop) > longest


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_functions_environment_is_one_that_the_code_takes(variant: str) -> None:
    for name, function in of_type(deployed(variant), "AWS::Lambda::Function").items():
        variables = {key: str(value) for key, value in function["Environment"]["Variables"].items()}

        known = {f"PENSTOCK_{field.upper()}" for field in Settings.model_fields}
        assert {key for key in variables if key.startswith("PENSTOCK_")} <= known, name
        assert Settings.of(variables).bucket == "LandingBucket"


def test_only_the_deployment_is_given_the_owners_secret_and_only_what_needs_a_warehouse_the_loaders() -> None:
    functions = of_type(deployed("all of it"), "AWS::Lambda::Function")

    given = {
        name: function["Environment"]["Variables"].get("PENSTOCK_WAREHOUSE_SECRET_ARN", "::").split(":")[-1]
        for name, function in functions.items()
    }

    loader, owner = "loader-AbCdEf", "owner-AbCdEf"
    assert given == {
        "ListIncoming": "",
        "PlanBackfill": "",
        "BeginLoad": loader,
        "PollLoad": loader,
        "IndexBatch": loader,
        "WorkParquet": loader,
        "SettleBatch": loader,
        "SummariseRun": "",
        "KickOff": "",
        "ApplyDatasets": owner,
        "Reconcile": loader,
        "RebuildViews": loader,
        "ProcessStream": "",
        "WatchRate": "",
        "PackMessages": "",
    }


def test_every_function_is_traced_shares_both_layers_and_has_a_log_group_of_its_own_that_forgets() -> None:
    resources = deployed("all of it")
    functions = of_type(resources, "AWS::Lambda::Function")
    groups = of_type(resources, "AWS::Logs::LogGroup")

    assert functions.keys() == FUNCTIONS
    for name, function in functions.items():
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert [layer[:-10] for layer in function["Layers"]] == ["PenstockLayer", "DatasetsLayer"]
        assert function["LoggingConfig"]["LogGroup"] == f"{name}Logs"
    assert groups.keys() == {f"{name}Logs" for name in FUNCTIONS} | {
        "IngestLogs",
        "BackfillLogs",
        "HugeFileTaskLogs",
        "RebuildViewsMachineLogs",
    }
    assert {group["RetentionInDays"] for group in groups.values()} == {"30"}
    assert len({group["LogGroupName"] for group in groups.values()}) == len(groups)
    assert groups["IngestLogs"]["LogGroupName"].startswith("/aws/vendedlogs/")


def test_a_stack_can_be_made_again_after_its_custom_resource_has_logged_its_deletion() -> None:
    """Lambda makes a log group again for lines that come late, and CloudFormation takes none that is there already:
    https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/564"""
    [name] = {
        group["LogGroupName"]
        for logical, group in of_type(deployed("all of it"), "AWS::Logs::LogGroup").items()
        if logical == "ApplyDatasetsLogs"
    }

    assert name == "/aws/lambda/penstock/0f1e2d3c/apply_datasets"


def test_each_function_has_its_code_under_its_own_name() -> None:
    for name, resource in source()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            assert resource["Properties"]["CodeUri"] == f"functions/{folder}/"
            assert (REPOSITORY / "functions" / folder / "app.py").is_file()


def test_the_chosen_python_and_processor_reach_functions_and_layers() -> None:
    resources = deployed("arm64 on Python 3.12")

    for function in of_type(resources, "AWS::Lambda::Function").values():
        assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["arm64"])
    for layer in of_type(resources, "AWS::Lambda::LayerVersion").values():
        assert (layer["CompatibleRuntimes"], layer["CompatibleArchitectures"]) == (["python3.12"], ["arm64"])


def test_what_talks_to_the_destinations_is_in_the_network_and_the_rest_is_not() -> None:
    functions = of_type(deployed("in a network"), "AWS::Lambda::Function")

    inside = {name for name, function in functions.items() if "VpcConfig" in function}

    assert inside == {"BeginLoad", "PollLoad", "IndexBatch", "WorkParquet", "SettleBatch", "Reconcile"}
    assert functions["BeginLoad"]["VpcConfig"] == {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert not [f for f in of_type(deployed("warehouse"), "AWS::Lambda::Function").values() if "VpcConfig" in f]


def test_what_talks_to_the_destinations_is_in_the_network_that_is_made_for_it() -> None:
    resources = deployed("in a new network")
    functions = of_type(resources, "AWS::Lambda::Function")

    inside = {name: function["VpcConfig"] for name, function in functions.items() if "VpcConfig" in function}

    subnets, group = "Network.Outputs.SubnetIds", "Network.Outputs.SecurityGroupId"
    talking = {
        name for name, one in functions.items() if "PENSTOCK_WAREHOUSE_SECRET_ARN" in one["Environment"]["Variables"]
    }
    assert inside.keys() == talking
    assert all(one == {"SubnetIds": [subnets], "SecurityGroupIds": [group]} for one in inside.values())
    for machine in ("IngestStateMachine", "BackfillStateMachine"):
        given = resources[machine]["Properties"]["DefinitionSubstitutions"]
        assert (given["TaskSubnetIds"], given["TaskSecurityGroupIds"]) == (subnets, group)


def test_live_leases_are_found_by_a_sparse_index_that_can_be_read_consistently() -> None:
    table = deployed("as it comes")["LeaseTable"]["Properties"]

    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    [index] = table["LocalSecondaryIndexes"]
    assert index["IndexName"] == "live"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["pk", "live"]
    assert index["Projection"] == {"ProjectionType": "ALL"}


def test_the_table_is_on_demand_encrypted_recoverable_and_tidies_itself() -> None:
    table = deployed("as it comes")["LeaseTable"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["DeletionProtectionEnabled"] is False
    assert deployed("told by mail, protected")["LeaseTable"]["Properties"]["DeletionProtectionEnabled"] is True


def test_datasets_are_applied_again_when_they_the_code_or_the_destination_change() -> None:
    resource = deployed("all of it")["AppliedDatasets"]
    properties = resource["Properties"]

    assert properties["ServiceToken"] == "ApplyDatasets.Arn"
    assert properties["Datasets"].startswith("DatasetsLayer")
    assert properties["Code"].startswith("PenstockLayer")
    assert {"Warehouse", "WarehouseOwnerSecretArn", "SearchUrl"} <= properties.keys()
    assert properties["ServiceTimeout"] > deployed("all of it")["ApplyDatasets"]["Properties"]["Timeout"]


def test_a_stack_without_a_destination_applies_nothing() -> None:
    assert not {"AppliedDatasets", "ApplyDatasets", "ApplyDatasetsLogs"} & deployed("as it comes").keys()


def test_the_data_pipeline_is_a_nested_stack_made_only_when_asked_for() -> None:
    assert "DataPipeline" not in deployed("as it comes")
    assert "DataPipeline" not in deployed("own data pipeline")
    assert deployed("new data pipeline")["DataPipeline"]["Type"] == "AWS::CloudFormation::Stack"


def test_the_pipeline_that_is_activated_is_the_one_named_or_the_one_made() -> None:
    def pipeline(variant: str) -> str:
        variables = deployed(variant)["KickOff"]["Properties"]["Environment"]["Variables"]
        return str(variables["PENSTOCK_DATA_PIPELINE_ID"])

    assert pipeline("as it comes") == ""
    assert pipeline("own data pipeline") == "df-0123456789ABCDEFGHIJ"
    assert pipeline("new data pipeline") == "DataPipeline.Outputs.PipelineId"
