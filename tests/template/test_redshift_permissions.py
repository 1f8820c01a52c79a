"""On Redshift: who may run statements, where, and ask after whose; no role's own policy says it, one for all does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.template.deployment import LOADER, OWNER, WORKGROUP, deployed, of_type
from tests.template.test_permissions import BUCKET, EVERYTHING, allowed, roles, statements

SERVERLESS, CLUSTER, SECRETS = "Redshift Serverless by IAM", "Redshift cluster by IAM", "Redshift by secrets"
VARIANTS = [SERVERLESS, CLUSTER, SECRETS]
ARN = "arn:aws:redshift:eu-west-1:123456789012:"
STAGES = {
    *((f"s3:{action}", f"{BUCKET}/plans/copies/*") for action in ("PutObject", "PutObjectTagging")),
    ("s3:AbortMultipartUpload", f"{BUCKET}/plans/copies/*"),
    *(
        (f"s3:GetObjectVersion{tagging}", f"{BUCKET}/{at}/*")
        for tagging in ("", "Tagging")
        for at in ("incoming", "failed")
    ),
}


def policy(variant: str) -> dict[str, Any]:
    [found] = of_type(deployed(variant), "AWS::IAM::ManagedPolicy").values()
    return {"Roles": found["Roles"], **{one["Sid"]: one for one in found["PolicyDocument"]["Statement"]}}


def test_no_other_warehouse_has_it() -> None:
    for variant in ("as it comes", "warehouse", "all of it"):
        assert not of_type(deployed(variant), "AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_function_that_asks_the_warehouse_has_it_and_no_other(variant: str) -> None:
    functions = of_type(deployed(variant), "AWS::Lambda::Function")
    asking = {
        f"{name}Role"
        for name, function in functions.items()
        if "PENSTOCK_WAREHOUSE_SECRET_ARN" in function["Environment"]["Variables"]
    }

    assert set(policy(variant)["Roles"]) == asking


@pytest.mark.parametrize(
    ("variant", "where"), [(SERVERLESS, WORKGROUP), (SECRETS, WORKGROUP), (CLUSTER, f"{ARN}cluster:flights")]
)
def test_statements_run_in_the_one_place_that_was_named(variant: str, where: str) -> None:
    statement = policy(variant)["RunStatements"]

    assert statement["Resource"] == where
    assert statement["Action"] == ["redshift-data:ExecuteStatement", "redshift-data:BatchExecuteStatement"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_function_sees_its_own_statements_and_of_others_only_how_loads_go(variant: str) -> None:
    own, others = policy(variant)["SeeWhatBecameOfTheirOwn"], policy(variant)["AskAfterALoadThatAnotherStepBegan"]

    whose = "redshift-data:statement-owner-iam-userid"
    assert own["Condition"] == {"StringEquals": {whose: "${aws:userid}"}}
    assert others["Action"] == "redshift-data:DescribeStatement"
    steps = ("BeginLoadRole", "PollLoadRole", "WorkParquetRole")
    assert others["Condition"]["StringLike"][whose] == [f"{step}.RoleId:*" for step in steps]


def test_who_has_no_secret_gets_in_as_what_it_is() -> None:
    serverless, cluster = (policy(variant)["GetInAsThemselves"] for variant in (SERVERLESS, CLUSTER))

    assert (serverless["Action"], serverless["Resource"]) == ("redshift-serverless:GetCredentials", WORKGROUP)
    assert (cluster["Action"], cluster["Resource"]) == (
        "redshift:GetClusterCredentialsWithIAM",
        f"{ARN}dbname:flights/landing",
    )
    assert "GetInAsThemselves" not in policy(SECRETS)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("role", ["BeginLoadRole", "PollLoadRole", "WorkParquetRole"])
def test_all_steps_of_a_load_read_arrivals_and_write_what_copy_reads(variant: str, role: str) -> None:
    secret = {("secretsmanager:GetSecretValue", LOADER)}
    without = {pair for pair in EVERYTHING[role] - secret if not pair[0].startswith("es:")}  # They have no index.

    assert allowed(roles(variant)[role]) - secret == without | STAGES


def test_no_other_role_has_more_than_on_postgresql() -> None:
    others = EVERYTHING.keys() - {"BeginLoadRole", "PollLoadRole", "WorkParquetRole", "RebuildViewsRole"}

    for name, role in roles(SECRETS).items():
        if name in others:
            assert {pair for pair in allowed(role) if pair[0].startswith("s3:")} <= EVERYTHING[name]


def test_a_view_is_refreshed_by_its_owner() -> None:
    assert allowed(roles(SECRETS)["RebuildViewsRole"]) == {("secretsmanager:GetSecretValue", OWNER)}
    assert not statements(roles(SERVERLESS)["RebuildViewsRole"])


def test_by_iam_alone_no_secret_is_read() -> None:
    for variant in (SERVERLESS, CLUSTER):
        for role in roles(variant).values():
            assert not {pair for pair in allowed(role) if pair[0].startswith("secretsmanager:")}
