"""`sam deploy`, really run: a file flows through what it deploys, changes, rolls back, and takes down."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.integration.processes import eventually
from tests.sam.build import BIN, RUNTIME, environment
from tests.sam.shims import NESTED_BUCKET, shimmed
from tests.template.deployment import REPOSITORY

from penstock.local.stack import LocalStack

NAME = "penstock-dev"
PATIENCE = 300
"""Seconds, for what sends no event when it is there: a file takes two on a quiet machine, and this may be busy."""


@dataclass(frozen=True)
class Deployer:
    """Runs `sam` against engines on which nothing else is deployed."""

    engines: LocalStack
    template: Path

    def deploy(self, **parameters: str) -> subprocess.CompletedProcess[str]:
        """By samconfig.toml's own section `dev`, which says --resolve-s3."""
        given = [f"{name}={value}" for name, value in {**self.engines_parameters, **parameters}.items()]
        config = ["--config-file", str(REPOSITORY / "samconfig.toml"), "--config-env", "dev"]
        return self._sam("deploy", "--template-file", str(self.template), *config, "--parameter-overrides", *given)

    def delete(self) -> subprocess.CompletedProcess[str]:
        return self._sam("delete", "--stack-name", NAME, "--no-prompts")

    @property
    def engines_parameters(self) -> dict[str, str]:
        secrets = self.engines.client("secretsmanager").list_secrets()["SecretList"]
        arns = {secret["Name"]: secret["ARN"] for secret in secrets}
        return {
            "PythonRuntime": RUNTIME,
            "Warehouse": "postgres",
            "WarehouseSecretArn": arns["engines/penstock_loader"],
            "WarehouseOwnerSecretArn": arns["engines/penstock_owner"],
            "SearchUrl": self.engines.search_url,
            "SearchAuth": "none",
            "ArrivalsWindowSeconds": "1",
            "Stream": "provisioned",
            "Messages": "standard",
            "MessagesWindowSeconds": "1",
            "Archive": "direct",
        }

    def secret(self, **values: str | int) -> str:
        made = self.engines.client("secretsmanager").create_secret(Name="broken", SecretString=json.dumps(values))
        return str(made["ARN"])

    @property
    def stack(self) -> tuple[str, dict[str, str], dict[str, str]]:
        """Its status, its parameters and its outputs."""
        [told] = self.engines.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
        parameters = {given["ParameterKey"]: given["ParameterValue"] for given in told["Parameters"]}
        return told["StackStatus"], parameters, {one["OutputKey"]: one["OutputValue"] for one in told["Outputs"]}

    def variable(self, name: str) -> str:
        """Of the lister's environment."""
        function = self.stack[2]["ListIncomingFunction"]
        told = self.engines.client("lambda").get_function_configuration(FunctionName=function)
        return str(told["Environment"]["Variables"][name])

    def flows(self, carrier: str) -> bool:
        """Puts a file of one row below incoming/; whether it came to processed/ and its row into the table."""
        s3, bucket = self.engines.client("s3"), self.stack[2]["LandingBucket"]
        body = f'carrier,name\n"{carrier}","Some Airline"\n'.encode()
        s3.put_object(Bucket=bucket, Key=f"incoming/airlines/{carrier}.csv", Body=body)

        def processed() -> bool:
            listed = s3.list_objects_v2(Bucket=bucket, Prefix="processed/airlines/").get("Contents", [])
            return any(entry["Key"].endswith(f"-{carrier}.csv") for entry in listed)

        if not eventually(processed, PATIENCE):
            return False
        with psycopg.connect(self.engines.warehouse_dsn("owner")) as connection:
            found = connection.execute("SELECT name FROM public.airlines WHERE carrier = %s", [carrier]).fetchall()
        return found == [("Some Airline",)]

    def counts(self, kind: str) -> bool:
        """Puts an event of `kind` into the stream; whether it came to be counted."""
        event = {"event_id": kind, "type": kind, "at": "2013-01-01T10:00:00Z"}
        self.engines.client("kinesis").put_record(
            StreamName=self.stack[2]["StreamName"], Data=json.dumps(event).encode(), PartitionKey=kind
        )
        table = self.stack[2]["CountsTable"]
        return eventually(lambda: kind in str(self.engines.client("dynamodb").scan(TableName=table)["Items"]), PATIENCE)

    def packs(self, text: str) -> bool:
        """Sends a message; whether it came into a file. No dataset has messages, so that file is found unclaimed."""
        body = json.dumps({"text": text})
        self.engines.client("sqs").send_message(QueueUrl=self.stack[2]["MessagesQueueUrl"], MessageBody=body)
        return self._unclaimed(text)

    def archives(self, text: str) -> bool:
        """The same by the Firehose, which a nested stack has."""
        record = {"Data": json.dumps({"text": text}).encode()}
        self.engines.client("firehose").put_record(DeliveryStreamName=self.stack[2]["ArchiveName"], Record=record)
        return self._unclaimed(text)

    def _unclaimed(self, text: str) -> bool:
        s3, bucket = self.engines.client("s3"), self.stack[2]["LandingBucket"]

        def there() -> bool:
            listed = s3.list_objects_v2(Bucket=bucket, Prefix="failed/_unclaimed/").get("Contents", [])
            bodies = (s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in listed)
            return any(text.encode() in body for body in bodies)

        return eventually(there, PATIENCE)

    def _sam(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {"AWS_ENDPOINT_URL": self.engines.endpoint, "SAM_CLI_POLL_DELAY": "0.3"}
        return subprocess.run(
            [BIN / "sam", *arguments],
            cwd=self.template.parent,
            env=environment(variables),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def deployer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployer]:
    if not request.config.getoption("--sam-deploy"):
        pytest.skip("sam deploy, really run, takes over a minute: make sam-deploy")
    template = shimmed(request.getfixturevalue("built") / "template.yaml")
    nothing = tmp_path / "template.yaml"
    nothing.write_text("Resources: {Nothing: {Type: AWS::SQS::Queue}}\n")
    with LocalStack.temporary("engines", template=nothing, datasets=REPOSITORY / "datasets") as engines:
        s3 = engines.client("s3")
        s3.create_bucket(Bucket=NESTED_BUCKET)
        for nested in template.parent.glob("*/template.yaml"):
            s3.upload_file(str(nested), NESTED_BUCKET, str(nested.relative_to(template.parent)))
        yield Deployer(engines, template)


def test_what_sam_deploys_works_and_a_broken_update_rolls_back_and_sam_delete_keeps_the_files(
    deployer: Deployer,
) -> None:
    created = deployer.deploy()

    assert created.returncode == 0, created.stdout[-3000:] + created.stderr[-1000:]
    assert deployer.flows("AA")
    assert deployer.counts("departed")
    assert deployer.packs("hello")
    assert deployer.archives("goodbye")

    updated = deployer.deploy(MaxLeasedFiles="7")

    assert updated.returncode == 0, updated.stdout[-3000:] + updated.stderr[-1000:]
    assert deployer.variable("PENSTOCK_MAX_LEASED_FILES") == "7"
    assert deployer.flows("BB")

    nobody_there = deployer.secret(host="127.0.0.1", port=1, dbname="warehouse", username="nobody", password="none")
    broken = deployer.deploy(WarehouseOwnerSecretArn=nobody_there, MaxLeasedFiles="9")

    assert broken.returncode != 0
    assert "the warehouse is down" in " ".join(broken.stdout.split())
    status, parameters, outputs = deployer.stack
    assert (status, parameters["MaxLeasedFiles"]) == ("UPDATE_ROLLBACK_COMPLETE", "7")
    assert deployer.variable("PENSTOCK_MAX_LEASED_FILES") == "7"
    assert deployer.flows("CC")

    deleted = deployer.delete()

    assert deleted.returncode == 0, deleted.stdout[-3000:] + deleted.stderr[-1000:]
    assert deployer.engines.client("lambda").list_functions()["Functions"] == []
    kept = deployer.engines.client("s3").list_objects_v2(Bucket=outputs["LandingBucket"], Prefix="processed/")
    assert kept["KeyCount"] == 3
