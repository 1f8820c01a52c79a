"""Why a permission can be taken out here and no step fails: each that is, has its reason, or the command refuses."""

from __future__ import annotations

from tests.permissions.grants import Grant

RUNS_MACHINES = "The emulator runs state machines and their children with rights of its own."
MISSING = "S3 answers 403 for a key that is missing where the caller may not list; the emulator answers 404."
RARE = "Only what outlives its run, and was settled meanwhile, reads there: tests/faults/schedules has that."
TAGS = "The emulator copies tags without asking."
BIG = "Only of a copy of more than 5 GB that is broken off."

PARQUET = "The scenario has no Parquet file; tests/integration/test_parquet.py takes one through with all."

ROLES = {"IngestStateMachine", "BackfillStateMachine", "RebuildViewsStateMachine"}
MANAGED = {
    "AWSLambdaBasicExecutionRole": "The emulator writes the functions' logs itself.",
    "AWSLambdaVPCAccessExecutionRole": "The emulator has no network interfaces. SAM attaches it in any case.",
    "AWSXrayWriteOnlyAccess": "There is no X-Ray on the laptop.",
    "AWSLambdaSQSQueueExecutionRole": "The emulator reads the queue with rights of its own.",
}
BY_ROLE = {
    "WorkParquet": "The scenario has no Parquet; tests/integration/test_parquet.py has, with permissions enforced."
}
BY_GRANT = {
    (
        "PollLoad",
        "secretsmanager:GetSecretValue",
    ): "A load of PostgreSQL is over when BeginLoad answers: nothing is polled.",
    ("KickOff", "datapipeline:ActivatePipeline"): "Data Pipeline is moto's here, which knows no permissions.",
    ("IndexBatch", "s3:ListBucketVersions"): RARE,
    (
        "ListIncoming",
        "dynamodb:GetItem",
    ): "Only of a run that ended badly and owes a kickoff: tests/unit/test_close_again.py.",
    ("ProcessStream", "sqs:SendMessage"): "The emulator asks for SendMessageBatch, which AWS does not know.",
    ("SettleBatch", "s3:DeleteObject"): "Not in template.yaml: the emulator asks for it beside DeleteObjectVersion.",
}
BY_RESOURCE = {
    (
        "SettleBatch",
        "s3:DeleteObjectVersion",
        "LandingBucket/failed/*",
    ): "The emulator was satisfied with DeleteObject when a retried file left failed/.",
    (
        "Reconcile",
        "s3:GetObject",
        "LandingBucket/failed/*.rejects.jsonl",
    ): "Only where an arrival has fewer documents than rows: tests/integration/test_reconcile.py.",
    ("IndexBatch", "s3:GetObjectVersion", "LandingBucket/processed/*"): RARE,
    (
        "IndexBatch",
        "s3:GetObjectVersion",
        "LandingBucket/failed/*",
    ): "A file that is indexed where it failed has a table and an index: `penstock retry`; the scenario's has a table.",
}
BY_ACTION = {
    **dict.fromkeys(
        [
            f"kinesis:{one}"
            for one in ["DescribeStream", "DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"]
        ],
        "The emulator reads the stream with rights of its own.",
    ),
    "s3:ListBucket": MISSING,
    "s3:AbortMultipartUpload": BIG,
    "s3:GetObjectVersionTagging": TAGS,
    "s3:PutObjectTagging": TAGS,
    "sqs:SendMessage": "Where Lambda leaves what it gave up on; nothing is invoked asynchronously here.",
}


def why(grant: Grant) -> str:
    """Empty where nothing excuses it: then the scenario lacks a step, or the role has a permission too many."""
    if grant.managed:
        return MANAGED.get(grant.action, "")
    if grant.role in ROLES:
        return RUNS_MACHINES
    if grant.role == "WorkParquet":
        return PARQUET
    return (
        BY_RESOURCE.get((grant.role, grant.action, grant.resource))
        or BY_GRANT.get((grant.role, grant.action))
        or BY_ACTION.get(grant.action, "")
        or BY_ROLE.get(grant.role, "")
    )
