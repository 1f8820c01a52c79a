"""Why a permission can be taken out here and no step fails: each that is, has its reason, or the command refuses."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tests.permissions.grants import Grant

NO_LOGS = "The emulator writes the functions' logs itself."
MAPPED = "The emulator reads for an event source mapping with rights of its own."
TAGS = "The emulator copies tags without asking."
MISSING = "S3 answers 403 for a key that is missing where the caller may not list; the emulator answers 404."
NO_POLL = "A load of PostgreSQL is over when BeginLoad answers: nothing is polled."
TELL_MISSING = ("BeginLoad", "IndexBatch", "PlanBackfill", "PollLoad", "SummariseRun", "WorkParquet")

REASONS: dict[tuple[str, str, str], str] = {
    ("*", "AWSLambdaBasicExecutionRole", ""): NO_LOGS,
    (
        "*",
        "AWSLambdaVPCAccessExecutionRole",
        "",
    ): "The emulator has no network interfaces. SAM attaches it in any case.",
    ("*", "AWSXrayWriteOnlyAccess", ""): "There is no X-Ray on the laptop.",
    ("ListIncoming", "sqs:*", "ArrivalsQueue"): MAPPED,
    ("PackMessages", "sqs:*", "MessagesQueue"): MAPPED,
    ("ProcessStream", "kinesis:*", "EventStream"): MAPPED,
    ("*", "sqs:SendMessage", "UndeliveredQueue"): "Lambda leaves there what it gave up on: the emulator asks no role.",
    **dict.fromkeys(((role, "s3:ListBucket", "LandingBucket") for role in TELL_MISSING), MISSING),
    ("Reconcile", "s3:AbortMultipartUpload", "*"): "Only of facts of more than 8 MiB whose upload is broken off.",
    ("SettleBatch", "s3:AbortMultipartUpload", "*"): "Only of a copy of more than 5 GB that is broken off.",
    ("SettleBatch", "s3:PutObjectTagging", "*"): TAGS,
    ("SettleBatch", "s3:GetObjectVersionTagging", "*"): TAGS,
    ("KickOff", "datapipeline:ActivatePipeline", "*"): "Data Pipeline is moto's here, which knows no permissions.",
    ("*StateMachine", "logs:*", "[*]"): "Step Functions delivers its log with them; the emulator has none.",
    ("*StateMachine", "lambda:InvokeFunction", "PollLoad"): NO_POLL,
    ("*StateMachine", "events:*", "*"): "Step Functions makes its rule for tasks with them; the emulator makes none.",
    ("BackfillStateMachine", "states:DescribeExecution", "*"): "The emulator follows a Map's children without calls.",
    ("BackfillStateMachine", "states:StopExecution", "*"): "The emulator stops a Map's children without calls.",
    ("BackfillStateMachine", "s3:*", "*/results/*"): "The emulator writes no results of a Distributed Map.",
}
"""By patterns of role, action and resource."""

ABSENT: dict[str, str] = {
    "OnRedshift": "The stand-in for Redshift asks for no permission. What is staged in S3 does: "
    "`tests/integration/test_permissions.py` takes one out there.",
    "SignsSearch": "The laptop's index asks for no signature.",
    "RunsTasks": "There is no ECS on the laptop; `tests/integration/test_task.py` runs the task's program.",
    "Canaries": "There is no CodeDeploy on the laptop.",
    "LogsInByIam": "The laptop's PostgreSQL is no RDS.",
    "MakesDatabase": "The laptop's PostgreSQL is no RDS.",
    "MakesNetwork": "The laptop has no VPC.",
    "HasArchive": "The laptop's Firehose is `penstock.local.archive`, which has every right.",
}
"""Permissions behind these conditions are not in the stack that is played."""


def why(grant: Grant) -> str:
    """Empty where nothing excuses it: then the scenario lacks a step, or the role has a permission too many."""
    asked = (grant.role, grant.action, grant.resource)
    for pattern, reason in REASONS.items():
        if all(fnmatchcase(*pair) for pair in zip(asked, pattern, strict=True)):
            return reason
    return ""


def why_absent(conditions: Iterable[str]) -> str:
    return next((ABSENT[one] for one in conditions if one in ABSENT), "")
