"""The whole template on this machine, its functions wrapped so that their calls are recorded and broken.

What differs from the template, and only that: Tasks and functions time out after seconds; no notification and no
schedule starts a listing, so that a case's runs are its own (the campaign sends what they would have sent; a failed
run still asks for a listing by itself); the functions' `app.py` are loaded through `worker.install`.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tests.faults.kinds import Fault, Point
from tests.faults.worker import busy

from penstock.local.deployment import Deployment, local_deployment
from penstock.local.stack import LocalStack

REPOSITORY = Path(__file__).parents[2]
DATASETS = Path(__file__).with_name("datasets")
PASSWORD = "0f-the-l0ader"
"""What no state, event or log may show."""
TASK_SECONDS = 4
FUNCTION_SECONDS = 12
DELAY_SECONDS = 5.5
"""Past the Task's timeout, before the function's: the step is repeated while the first try goes on and ends."""
QUIET_SECONDS = 180
"""A run that goes on for longer hangs; a machine that is busy with other things needs half of it."""
_POLL_SECONDS = 0.05

Warehouse = Literal["postgres", "redshift"]

_STUB = """
import sys
sys.path.insert(0, {repository!r})
from tests.faults.worker import install
handler = install({folder!r}, {function!r}, {app!r})
"""


@dataclass
class FaultyStack:
    stack: LocalStack
    folder: Path
    patience: int = 1
    """Times that seconds are taken: a step on Redshift makes many more calls than one on PostgreSQL."""
    ahead: float = 0.0

    @cached_property
    def deployment(self) -> Deployment:
        return local_deployment(self.stack)

    def client(self, service: str) -> Any:
        return self.deployment.client(service)

    def now(self) -> datetime:
        """By Penstock's clock, as the functions have it."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead)

    def advance(self, seconds: float) -> None:
        """Penstock's clock goes on by so much; what waits for a time need not be waited for."""
        self.ahead += seconds
        replacement = self.folder / "clock.new"
        replacement.write_text(str(self.ahead))
        replacement.rename(self.folder / "clock")

    def arm(self, case: str, point: Point, fault: Fault) -> None:
        seconds = 1.0 if point.function == "list_incoming" else DELAY_SECONDS * self.patience
        armed = {**point.to_json(), "fault": fault, "case": case, "seconds": seconds}
        replacement = self.folder / "armed.new"
        replacement.write_text(json.dumps(armed))
        replacement.rename(self.folder / "armed.json")

    def release(self, case: str) -> None:
        """What is held at the case's point goes on."""
        (self.folder / f"released-{case}").touch()

    def set_threshold(self, files: int) -> None:
        """From more than so many files a listing starts a backfill; 0 for never."""
        replacement = self.folder / "threshold.new"
        replacement.write_text(str(files))
        replacement.rename(self.folder / "threshold")

    def heal(self) -> None:
        (self.folder / "armed.json").unlink(missing_ok=True)

    def made(self, case: str) -> bool:
        return (self.folder / f"made-{case}").exists()

    def await_made(self, case: str, seconds: float) -> None:
        """Until the case's fault is being made, or `seconds` are over."""
        deadline = time.monotonic() + seconds
        while not self.made(case) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[Point]]:
        found: list[Point] = []
        points = self.folder / "points"
        points.touch()
        try:
            yield found
        finally:
            lines = points.read_text().splitlines()
            points.unlink()
            found += dict.fromkeys(Point(*json.loads(line)) for line in lines)

    def list_incoming(self, *, wait: bool = True) -> dict[str, Any] | None:
        """As the schedule asks for it: what it answers, or None when it died or failed."""
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        answer = self.client("lambda").invoke(
            FunctionName=self.function("ListIncoming"),
            InvocationType="RequestResponse" if wait else "Event",
            Payload=json.dumps(event),
        )
        if not wait or "FunctionError" in answer:
            return None
        said: dict[str, Any] = json.loads(answer["Payload"].read())
        return said

    def ask_for_a_listing(self) -> None:
        """By a message to the arrivals queue, as the schedule does."""
        event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
        queue = self.deployment.outputs["ArrivalsQueueUrl"]
        self.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))

    def left(self) -> int:
        """Object versions in `incoming/`; a page of them at most."""
        found = self.client("s3").list_object_versions(Bucket=self.deployment.bucket, Prefix="incoming/")
        return len(found.get("Versions", []))

    def count(self, prefix: str) -> int:
        """Object versions below it."""
        pages = (
            self.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self.deployment.bucket, Prefix=prefix)
        )
        return sum(len(page.get("Versions", [])) for page in pages)

    def executions(self) -> list[str]:
        """Of runs and of backfills; those of a Map's children are not among them."""
        client = self.client("stepfunctions")
        pages = [
            page
            for machine in self._machines
            for page in client.get_paginator("list_executions").paginate(stateMachineArn=machine)
        ]
        return [execution["executionArn"] for page in pages for execution in page["executions"]]

    @property
    def _machines(self) -> tuple[str, str]:
        return self.deployment.machine, self.deployment.outputs["BackfillStateMachineArn"]

    def stop_runs(self) -> list[str]:
        """As somebody does by hand. Here a Map's children go on all the same; on AWS what they have invoked does."""
        client, stopped = self.client("stepfunctions"), []
        for machine in self._machines:
            for one in client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]:
                client.stop_execution(executionArn=one["executionArn"], cause="somebody stopped it")
                stopped.append(one["executionArn"])
        return stopped

    def function(self, logical: str) -> str:
        return self._functions[logical]

    @cached_property
    def _functions(self) -> dict[str, str]:
        found = self.client("cloudformation").describe_stack_resources(StackName=self.stack.name)["StackResources"]
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in found
            if one["ResourceType"] == "AWS::Lambda::Function"
        }

    def running(self) -> bool:
        """Whether any execution is, also a Map's child whose parent has been stopped."""
        return bool(self.client("stepfunctions").list_executions(statusFilter="RUNNING")["executions"])

    def live_runs(self) -> list[str]:
        """The runs that hold leases, and the closings whose time has not come."""
        return self.live("run")

    def live(self, kind: str) -> list[str]:
        """What the lease table has as live of one kind: `run`, `arrival`."""
        pages = (
            self.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.deployment.outputs["LeaseTable"],
                IndexName="live",
                ConsistentRead=True,
                KeyConditionExpression="pk = :kind",
                ExpressionAttributeValues={":kind": {"S": kind}},
            )
        )
        return [item["sk"]["S"] for page in pages for item in page["Items"]]

    def await_quiet(self, seconds: float = QUIET_SECONDS) -> bool:
        """Until no run is RUNNING and no invocation goes on, also none that was given up on."""

        def working() -> bool:
            return any(busy(self.folder))

        deadline = time.monotonic() + seconds
        # Looking for files costs nothing, asking Step Functions does. Twice, since a run may have begun one meanwhile.
        while working() or self.running() or working():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@contextlib.contextmanager
def faulty_stack(
    name: str = "faults", *, notified: bool = False, warehouse: Warehouse = "postgres"
) -> Iterator[FaultyStack]:
    """With `notified` S3's notifications start listings, as deployed, and nothing times out before its time."""
    with tempfile.TemporaryDirectory(prefix="penstock-faults-") as base:
        folder = Path(base) / "control"
        (folder / "busy").mkdir(parents=True)
        (folder / "clock").write_text("0")
        patience = 3 if warehouse == "redshift" else 1
        template = _template(Path(base) / "deployed", folder, notified, patience)
        with LocalStack.temporary(
            name, template=template, datasets=DATASETS, warehouse=warehouse, wait_scale=0.01
        ) as stack:
            secrets = stack.client("secretsmanager")
            arn = stack.parameters["WarehouseSecretArn"]
            secret = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
            secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({**secret, "password": PASSWORD}))
            yield FaultyStack(stack, folder, patience)


def revision() -> str:
    """The commit that the code is of, `+` where it was changed since; nothing outside a clone. Pages are no code."""

    def git(*arguments: str) -> str:
        wanted = ["git", "-C", str(REPOSITORY), *arguments]
        return subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _template(root: Path, folder: Path, notified: bool, patience: int) -> Path:
    """A folder with the template and what it names, wrapped."""
    root.mkdir()
    text = (REPOSITORY / "template.yaml").read_text()
    text = text.replace("ScheduleExpression: rate(1 minute)", "ScheduleExpression: rate(1 day)")
    if not notified:
        text = re.sub(r"\n      NotificationConfiguration:\n(?:        .*\n)+", "\n", text)
        text = re.sub(r"\n      Timeout: \d+", f"\n      Timeout: {FUNCTION_SECONDS * patience}", text)
    (root / "template.yaml").write_text(text)
    (root / "statemachines").mkdir()
    for source in (REPOSITORY / "statemachines").glob("*.yaml"):
        machine = source.read_text()
        if not notified:
            machine = re.sub(r"(\n +TimeoutSeconds): \d+", rf"\1: {TASK_SECONDS * patience}", machine)
        (root / "statemachines" / source.name).write_text(machine)
    (root / "pipeline").symlink_to(REPOSITORY / "pipeline")
    for app in (REPOSITORY / "functions").glob("*/app.py"):
        stub = root / "functions" / app.parent.name / "app.py"
        stub.parent.mkdir(parents=True)
        named = {"folder": str(folder), "function": app.parent.name, "app": str(app), "repository": str(REPOSITORY)}
        stub.write_text(_STUB.format(**named))
    return root / "template.yaml"
