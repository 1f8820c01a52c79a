"""Each role may do exactly what its function's adapters call: not less, not more."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import DOMAIN, LOADER, OWNER, VARIANTS, deployed, of_type

BUCKET = "LandingBucket.Arn"
ARN = "arn:aws:{}:eu-west-1:123456789012:{}"

LISTS_MISSING = ("s3:ListBucket", BUCKET)
LOADERS_SECRET = ("secretsmanager:GetSecretValue", LOADER)
READS_PLANS = ("s3:GetObject", f"{BUCKET}/plans/*")
READS_ARRIVALS = {("s3:GetObjectVersion", f"{BUCKET}/{root}/*") for root in ("incoming", "failed")}
SEARCHES = {(f"es:ESHttp{verb}", f"{DOMAIN}/*") for verb in ("Get", "Head", "Post", "Put", "Delete")}

DELIVERS_LOGS = {
    (f"logs:{action}", "*")
    for action in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
}

EVERYTHING: dict[str, set[tuple[str, str]]] = {
    "ListIncomingRole": {
        *(
            (f"sqs:{action}", "ArrivalsQueue.Arn")
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        ),
        LISTS_MISSING,
        READS_PLANS,
        ("s3:ListBucketVersions", BUCKET),
        ("s3:PutObject", f"{BUCKET}/plans/*"),
        ("dynamodb:UpdateItem", "LeaseTable.Arn"),
        ("dynamodb:GetItem", "LeaseTable.Arn"),
        ("dynamodb:PutItem", "LeaseTable.Arn"),
        ("dynamodb:ConditionCheckItem", "LeaseTable.Arn"),
        ("dynamodb:BatchWriteItem", "LeaseTable.Arn"),
        ("dynamodb:Query", "LeaseTable.Arn/index/live"),
        *(("states:StartExecution", f"{machine}StateMachine") for machine in ("Ingest", "Backfill")),
        *(
            ("states:DescribeExecution", ARN.format("states", f"execution:{machine}StateMachine.Name:*"))
            for machine in ("Ingest", "Backfill")
        ),
    },
    "BeginLoadRole": {LISTS_MISSING, READS_PLANS, *READS_ARRIVALS, LOADERS_SECRET},
    "PollLoadRole": {LISTS_MISSING, READS_PLANS},
    "IndexBatchRole": {
        LISTS_MISSING,
        READS_PLANS,
        *READS_ARRIVALS,
        LOADERS_SECRET,
        ("s3:ListBucketVersions", BUCKET),
        ("s3:GetObjectVersion", f"{BUCKET}/processed/*"),
        ("s3:GetObject", f"{BUCKET}/failed/*.reason.json"),
        ("s3:PutObject", f"{BUCKET}/plans/*/indexed/*"),
        *SEARCHES,
    },
    "SettleBatchRole": {
        LISTS_MISSING,
        READS_PLANS,
        *READS_ARRIVALS,
        LOADERS_SECRET,
        ("s3:PutObject", f"{BUCKET}/plans/*/settling/*"),
        ("s3:PutObject", f"{BUCKET}/plans/*/settled/*"),
        *(
            (f"s3:{action}", f"{BUCKET}/{root}/*")
            for action in ("GetObjectVersionTagging", "DeleteObjectVersion")
            for root in ("incoming", "failed")
        ),
        *(
            (f"s3:{action}", f"{BUCKET}/{prefix}/*")
            for action in ("GetObject", "PutObject", "PutObjectTagging", "AbortMultipartUpload")
            for prefix in ("processed", "failed")
        ),
        ("dynamodb:BatchWriteItem", "LeaseTable.Arn"),
        ("dynamodb:Query", "LeaseTable.Arn/index/live"),
        *SEARCHES,
    },
    "SummariseRunRole": {LISTS_MISSING, READS_PLANS, ("s3:PutObject", f"{BUCKET}/plans/*/summary.json")},
    "KickOffRole": {
        ("dynamodb:GetItem", "LeaseTable.Arn"),
        ("dynamodb:PutItem", "LeaseTable.Arn"),
        ("datapipeline:ActivatePipeline", ARN.format("datapipeline", "pipeline/DataPipeline.Outputs.PipelineId")),
        ("states:StartExecution", ARN.format("states", "stateMachine:after-load")),
    },
    "ApplyDatasetsRole": {
        ("secretsmanager:GetSecretValue", OWNER),
        ("sqs:SendMessage", "UndeliveredQueue.Arn"),
        *SEARCHES - {("es:ESHttpDelete", f"{DOMAIN}/*")},
    },
    "ReconcileRole": {
        LISTS_MISSING,
        READS_PLANS,
        LOADERS_SECRET,
        ("s3:ListBucketVersions", BUCKET),
        ("s3:GetObject", f"{BUCKET}/failed/*.rejects.jsonl"),
        ("s3:PutObject", f"{BUCKET}/plans/reconcile/*"),
        ("s3:AbortMultipartUpload", f"{BUCKET}/plans/reconcile/*"),
        ("dynamodb:Query", "LeaseTable.Arn"),
        ("dynamodb:Query", "LeaseTable.Arn/index/live"),
        ("sqs:SendMessage", "UndeliveredQueue.Arn"),
        *((f"es:ESHttp{verb}", f"{DOMAIN}/*") for verb in ("Get", "Post")),
    },
    "RebuildViewsRole": {LOADERS_SECRET},
    "ProcessStreamRole": {
        *(
            (f"kinesis:{action}", "EventStream.Arn")
            for action in ("DescribeStream", "DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords")
        ),
        *((f"dynamodb:{action}Item", "CountsTable.Arn") for action in ("Get", "Update", "Put")),
        ("dynamodb:Query", "CountsTable.Arn"),
        ("sqs:SendMessage", "StreamDeadLetterQueue.Arn"),
    },
    "PackMessagesRole": {
        *(
            (f"sqs:{action}", "MessagesQueue.Arn")
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        ),
        ("s3:PutObject", f"{BUCKET}/incoming/messages/*"),
    },
    "WatchRateRole": {
        ("dynamodb:Query", "CountsTable.Arn"),
        ("dynamodb:GetItem", "CountsTable.Arn"),
        ("dynamodb:PutItem", "CountsTable.Arn"),
        ("sns:Publish", "RunTopic"),
        ("sqs:SendMessage", "UndeliveredQueue.Arn"),
    },
    "RebuildViewsStateMachineRole": {
        ("lambda:InvokeFunction", "RebuildViews.Arn"),
        LISTS_MISSING,
        *DELIVERS_LOGS,
    },
    "IngestStateMachineRole": {
        *(
            ("lambda:InvokeFunction", f"{function}.Arn")
            for function in ("BeginLoad", "PollLoad", "IndexBatch", "WorkParquet")
        ),
        *(("lambda:InvokeFunction", f"{function}.Arn") for function in ("SettleBatch", "SummariseRun", "KickOff")),
        ("sns:Publish", "RunTopic"),
        *DELIVERS_LOGS,
        ("ecs:RunTask", ARN.format("ecs", "task-definition/penstock-huge-file:*")),
        *(
            (f"ecs:{action}", ARN.format("ecs", "task/tasks/*"))
            for action in ("StopTask", "DescribeTasks", "TagResource")
        ),
        *(
            (f"events:{action}", ARN.format("events", "rule/StepFunctionsGetEventsForECSTaskRule"))
            for action in ("PutTargets", "PutRule", "DescribeRule")
        ),
        *(("iam:PassRole", f"HugeFileTask{role}.Arn") for role in ("Role", "ExecutionRole")),
    },
    "HugeFileTaskExecutionRole": set(),
}
EVERYTHING["HugeFileTaskRole"] = EVERYTHING["BeginLoadRole"] | EVERYTHING["IndexBatchRole"]

# Rows of Parquet have numbers: to take documents out again nothing is read where it was settled.
EVERYTHING["WorkParquetRole"] = EVERYTHING["HugeFileTaskRole"] - {
    ("s3:ListBucketVersions", BUCKET),
    ("s3:GetObjectVersion", f"{BUCKET}/processed/*"),
}
EVERYTHING["PlanBackfillRole"] = {
    LISTS_MISSING,
    READS_PLANS,
    ("s3:ListBucketVersions", BUCKET),
    ("s3:PutObject", f"{BUCKET}/plans/*"),
    ("dynamodb:Query", "LeaseTable.Arn/index/live"),
}
EVERYTHING["BackfillStateMachineRole"] = EVERYTHING["IngestStateMachineRole"] | {
    ("lambda:InvokeFunction", "PlanBackfill.Arn"),
    ("states:StartExecution", ARN.format("states", "stateMachine:penstock-backfill")),
    *(
        (f"states:{action}Execution", ARN.format("states", f"execution:penstock-backfill{children}"))
        for action in ("Describe", "Stop")
        for children in (":*", "/*")
    ),
    ("s3:GetObject", f"{BUCKET}/plans/*/items/*"),
    *(
        (f"s3:{action}", f"{BUCKET}/plans/*/results/*")
        for action in ("GetObject", "PutObject", "ListMultipartUploadParts", "AbortMultipartUpload")
    ),
}

REDSHIFT_STATEMENTS = tuple(
    f"redshift-data:{action}" for action in ("DescribeStatement", "GetStatementResult", "CancelStatement")
)
"""AWS has no resource for a statement; a condition says whose it has to be."""

MANAGED = {"AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"}
IN_A_NETWORK = {"AWSLambdaVPCAccessExecutionRole"}
MANAGED_BY_ROLE = {
    "ListIncomingRole": MANAGED,
    "BeginLoadRole": MANAGED | IN_A_NETWORK,
    "PollLoadRole": MANAGED | IN_A_NETWORK,
    "IndexBatchRole": MANAGED | IN_A_NETWORK,
    "WorkParquetRole": MANAGED | IN_A_NETWORK,
    "SettleBatchRole": MANAGED | IN_A_NETWORK,
    "SummariseRunRole": MANAGED,
    "KickOffRole": MANAGED,
    "ApplyDatasetsRole": MANAGED | IN_A_NETWORK,
    "ReconcileRole": MANAGED | IN_A_NETWORK,
    "RebuildViewsRole": MANAGED | IN_A_NETWORK,
    "ProcessStreamRole": MANAGED,
    "PackMessagesRole": MANAGED,
    "WatchRateRole": MANAGED,
    "RebuildViewsStateMachineRole": {"AWSXrayWriteOnlyAccess"},
    "IngestStateMachineRole": {"AWSXrayWriteOnlyAccess"},
    "PlanBackfillRole": MANAGED,
    "BackfillStateMachineRole": {"AWSXrayWriteOnlyAccess"},
    "HugeFileTaskRole": set(),
    "HugeFileTaskExecutionRole": {"AmazonECSTaskExecutionRolePolicy"},
}


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for policy in role.get("Policies", []) for one in policy["PolicyDocument"]["Statement"]]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allowed(role: dict[str, Any]) -> set[tuple[str, str]]:
    """Pairs of action and resource. SAM CLI's resolver leaves a `$` before an attribute inside Fn::Sub."""
    return {
        (action, resource.replace("$", ""))
        for statement in statements(role)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def roles(variant: str) -> dict[str, dict[str, Any]]:
    return of_type(deployed(variant), "AWS::IAM::Role")


def test_with_everything_chosen_each_role_may_do_exactly_what_its_step_does() -> None:
    assert {name: allowed(role) for name, role in roles("all of it").items()} == EVERYTHING


def test_the_policies_that_sam_adds_are_known_and_no_others_are_attached() -> None:
    attached = {
        name: {arn.rpartition("/")[2] for arn in role.get("ManagedPolicyArns", [])}
        for name, role in roles("all of it").items()
    }

    assert attached == MANAGED_BY_ROLE


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_variant_has_a_wildcard_beside_log_deliveries_which_aws_knows_no_resource_for(variant: str) -> None:
    for name, role in roles(variant).items():
        for action, resource in allowed(role):
            assert "*" not in action, f"{name} may {action}"
            if not action.startswith(("logs:", *REDSHIFT_STATEMENTS)):
                assert resource not in {"", "*"}, f"{name} may {action} on {resource or 'nothing'}"


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_policy_is_left_without_statements_which_iam_would_refuse(variant: str) -> None:
    for name, role in roles(variant).items():
        for policy in role.get("Policies", []):
            assert policy["PolicyDocument"]["Statement"], name


def test_a_stack_without_warehouse_and_search_reaches_no_secret_no_domain_and_no_pipeline() -> None:
    services = {action.split(":")[0] for role in roles("as it comes").values() for action, _ in allowed(role)}

    assert services == {"s3", "dynamodb", "states", "lambda", "sns", "sqs", "logs", "events"}


def test_only_the_deployment_reads_the_owners_secret() -> None:
    readers = {name for name, role in roles("all of it").items() for _, resource in allowed(role) if resource == OWNER}

    assert readers == {"ApplyDatasetsRole"}


def test_a_search_that_signs_nothing_asks_for_no_permission() -> None:
    actions = {action for role in roles("unsigned search").values() for action, _ in allowed(role)}

    assert not [action for action in actions if action.startswith("es:")]


def test_an_existing_data_pipeline_is_the_only_one_that_may_be_activated() -> None:
    reachable = dict(allowed(roles("own data pipeline")["KickOffRole"]))

    assert reachable["datapipeline:ActivatePipeline"] == ARN.format("datapipeline", "pipeline/df-0123456789ABCDEFGHIJ")


def test_a_pattern_of_state_machines_is_as_wide_as_it_was_given() -> None:
    reachable = dict(allowed(roles("nested state machines")["KickOffRole"]))

    assert reachable["states:StartExecution"] == ARN.format("states", "stateMachine:after-load-*")


def test_views_are_rebuilt_by_the_machine_or_by_the_pipeline_that_is_created_never_by_both() -> None:
    machine = ("states:StartExecution", "RebuildViewsStateMachine")

    assert machine in allowed(roles("warehouse")["KickOffRole"])
    assert machine not in allowed(roles("all of it")["KickOffRole"]), "it creates a Data Pipeline"


@pytest.mark.parametrize("role", ["ListIncomingRole", "PlanBackfillRole", "ReconcileRole"])
def test_versions_are_listed_below_incoming_only(role: str) -> None:
    [statement] = [one for one in statements(roles("as it comes")[role]) if one["Action"] == "s3:ListBucketVersions"]

    assert statement["Condition"] == {"StringLike": {"s3:prefix": "incoming/*"}}


def test_no_role_may_delete_what_is_newest_only_a_version_by_its_id() -> None:
    actions = {action for role in roles("all of it").values() for action, _ in allowed(role)}

    assert "s3:DeleteObjectVersion" in actions
    assert "s3:DeleteObject" not in actions
