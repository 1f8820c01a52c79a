"""IAM is enforced on the laptop too: what a function's role lacks is refused here, and not first on AWS."""

from __future__ import annotations

from tests.integration.operating import ask, at_rest, put
from tests.integration.processes import eventually
from tests.permissions.grants import Roles

from penstock.local.stack import LocalStack


def logged(stack: LocalStack, function: str) -> list[str]:
    name = f"/aws/lambda/{stack.name}/{function}"
    return [event["message"] for event in stack.client("logs").filter_log_events(logGroupName=name)["events"]]


LACKING = {
    "postgres": ("s3:GetObjectVersion", "LandingBucket/incoming/*"),
    "redshift": ("s3:PutObject", "LandingBucket/plans/copies/*"),
}
"""What BeginLoad loads with: on PostgreSQL it reads the file, on Redshift it stages it for COPY."""


def test_without_a_permission_a_file_is_not_loaded_but_put_back(stack: LocalStack) -> None:
    s3, key, roles = stack.client("s3"), "incoming/watched/not loaded.csv", Roles(stack)
    lacking = LACKING[stack.parameters["Warehouse"]]
    [grant] = [one for one in roles.grants() if one.role == "BeginLoad" and (one.action, one.resource) == lacking]

    with roles.without(grant):
        put(stack, "watched/not loaded.csv", b"id,name\n72,seventy-two\n")
        put_back = eventually(lambda: any(key in one and "put_back" in one for one in logged(stack, "settle_batch")))
        refused = any(grant.action in one for one in logged(stack, "begin_load"))
    # Its next attempt is 30 seconds away, and what else runs on this stack is not to wait for it.
    for one in s3.list_object_versions(Bucket=stack.bucket, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=stack.bucket, Key=key, VersionId=one["VersionId"])
    put(stack, "watched/loaded.csv", b"id,name\n73,seventy-three\n")

    assert (put_back, refused) == (True, True)
    assert eventually(lambda: at_rest(stack) and bool(ask(stack, "SELECT id FROM watched WHERE id = 73")))
    assert ask(stack, "SELECT id FROM watched WHERE id = 72") == []
