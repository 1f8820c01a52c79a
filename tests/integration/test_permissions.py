"""IAM is enforced on the laptop too: what a function's role lacks is refused here, and not first on AWS."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.processes import eventually

from penstock.local.stack import LocalStack

ROOT = Path(__file__).resolve().parents[2]


def log_of(stack: LocalStack, function: str) -> str:
    logs = stack.client("logs")
    name = f"/aws/lambda/{stack.name}/{function}"
    return "\n".join(event["message"] for event in logs.filter_log_events(logGroupName=name)["events"])


def test_a_permission_that_the_template_lacks_is_refused(tmp_path: Path) -> None:
    for folder in ("functions", "statemachines", "pipeline", "datasets"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    text = (ROOT / "template.yaml").read_text()
    poorer, removed = re.subn(r"s3:ListBucketVersions", "s3:GetBucketVersioning", text)
    assert removed
    (tmp_path / "template.yaml").write_text(poorer)

    with LocalStack.temporary("poorer", template=tmp_path / "template.yaml") as stack:
        stack.client("s3").put_object(Bucket=stack.bucket, Key="incoming/airlines/a.csv", Body=b"carrier,name\nAA,A\n")

        refused = eventually(lambda: "s3:ListBucketVersions" in log_of(stack, "list_incoming"), 15)

    assert refused
