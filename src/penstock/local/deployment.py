"""A deployed stack as the terminal needs it: the same few handles whether it runs on this laptop or on AWS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.adapters.clients import client_config
from penstock.adapters.dynamodb import DynamoLeases
from penstock.adapters.s3 import S3ObjectStore
from penstock.adapters.stepfunctions import StepFunctionsRuns
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.adapters.opensearch import OpenSearchIndex
    from penstock.adapters.redshift import DataApi
    from penstock.local.stack import LocalStack
    from penstock.ports import Rebuild, Warehouse

Role = Literal["owner", "loader"]
_SECRETS: Mapping[Role, str] = {"owner": "WarehouseOwnerSecretArn", "loader": "WarehouseSecretArn"}


@dataclass(frozen=True)
class Deployment:
    """`client` makes boto3 clients; `conninfo` gives a role's PostgreSQL connection string, or "" without PostgreSQL.

    `search_url` is empty for a stack without search; `search_auth` says how requests to it are signed.
    """

    name: str
    place: str
    outputs: Mapping[str, str]
    make_client: Callable[[str], Any]
    conninfo: Callable[[Role], str]
    search_url: str = ""
    search_auth: Literal["aws", "none"] = "none"
    region: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The template's, as it was deployed."""
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.make_client(service)
        return self._clients[service]

    @property
    def bucket(self) -> str:
        return self.outputs["LandingBucket"]

    @property
    def machine(self) -> str:
        """The ARN of the ingest state machine."""
        return self.outputs["IngestStateMachineArn"]

    @cached_property
    def store(self) -> S3ObjectStore:
        return S3ObjectStore(self.client("s3"), self.bucket)

    @cached_property
    def leases(self) -> DynamoLeases:
        return DynamoLeases(self.client("dynamodb"), self.outputs["LeaseTable"])

    @cached_property
    def runs(self) -> StepFunctionsRuns:
        backfills = self.outputs.get("BackfillStateMachineArn", "")
        return StepFunctionsRuns(self.client("stepfunctions"), self.machine, backfills)

    @cached_property
    def warehouse(self) -> Warehouse | None:
        """With the role that loads; None for a stack without one."""
        if api := self.redshift("loader"):
            from penstock.adapters.redshift import RedshiftWarehouse

            return RedshiftWarehouse(api, self.parameters.get("RedshiftCopyRoleArn", "default"), self.store)
        conninfo = self.conninfo("loader")
        if not conninfo:
            return None
        from penstock.adapters.postgres import PostgresWarehouse

        return PostgresWarehouse(conninfo)

    @contextmanager
    def rebuilding(self) -> Iterator[tuple[Rebuild, Warehouse]]:
        """As the tables' owner: what makes and compares a second table, and what loads it. PermanentError without."""
        if api := self.redshift("owner"):
            from penstock.adapters.redshift import RedshiftRebuild, RedshiftWarehouse

            role, loader = (self.parameters.get(name, "") for name in ("RedshiftCopyRoleArn", "RedshiftLoader"))
            yield RedshiftRebuild(api, loader), RedshiftWarehouse(api, role or "default", self.store, wait=30)
            return
        conninfo = self.conninfo("owner")
        if not conninfo:
            raise PermanentError(f"stack {self.name} has no warehouse, so it has no tables to build anew")
        from penstock.adapters.postgres import PostgresRebuild, PostgresWarehouse

        with closing(PostgresRebuild(conninfo)) as rebuild, closing(PostgresWarehouse(conninfo)) as warehouse:
            yield rebuild, warehouse

    def redshift(self, role: Role) -> DataApi | None:
        """Where the warehouse is Redshift: with the role's secret, or else as whoever calls."""
        if self.parameters.get("Warehouse") != "redshift":
            return None
        from penstock.adapters.redshift import DataApi, Endpoint

        endpoint = Endpoint(
            database=self.parameters.get("RedshiftDatabase", "dev"),
            workgroup=self.parameters.get("RedshiftWorkgroupArn", ""),
            cluster=self.parameters.get("RedshiftCluster", ""),
            secret_arn=self.parameters.get(_SECRETS[role], ""),
        )
        return DataApi(self.client("redshift-data"), endpoint)

    @cached_property
    def search(self) -> OpenSearchIndex | None:
        if not self.search_url:
            return None
        from penstock.adapters.opensearch import OpenSearchIndex
        from penstock.adapters.opensearch_client import make_client

        return OpenSearchIndex(make_client(self.search_url, self.search_auth, self.region))


def local_deployment(stack: LocalStack) -> Deployment:
    return Deployment(
        name=stack.name,
        place="this laptop",
        outputs=stack.outputs,
        make_client=stack.client,
        conninfo=lambda role: "" if stack.parameters.get("Warehouse") == "redshift" else stack.warehouse_dsn(role),
        search_url=stack.search_url,
        parameters=stack.parameters,
    )


def aws_deployment(name: str) -> Deployment:
    """The CloudFormation stack `name` of the environment's account and region.

    Raises PermanentError when there is no such stack, or when it is not one of Penstock's, or no region is set.
    """
    from botocore.exceptions import ClientError

    from penstock.local.aws_session import aws_session

    session = aws_session()

    def make_client(service: str) -> Any:
        return session.client(service, config=client_config())  # type: ignore[call-overload] # Not a literal name.

    try:
        (stack,) = make_client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise PermanentError(
            f"there is no stack {name} in {session.region_name}. Name one with --stack, or deploy it: sam deploy"
        ) from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "LandingBucket" not in outputs:
        raise PermanentError(f"stack {name} in {session.region_name} has no output LandingBucket: is it Penstock's?")
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}

    def conninfo(role: Role) -> str:
        if host := outputs.get("WarehouseEndpoint"):  # From inside its network, and for 15 minutes.
            from penstock.adapters.postgres.login import by_iam

            database = parameters["WarehouseDatabase"]
            return by_iam(make_client("rds"), host, database, f"penstock_{role}", Path("datasets"))
        arn = parameters.get(_SECRETS[role], "") if parameters.get("Warehouse") == "postgres" else ""
        return _conninfo_of(make_client("secretsmanager"), arn) if arn else ""

    return Deployment(
        name=name,
        place=f"AWS, {session.region_name}",
        outputs=outputs,
        make_client=make_client,
        conninfo=conninfo,
        search_url=parameters.get("SearchUrl", ""),
        search_auth="none" if parameters.get("SearchAuth") == "none" else "aws",
        region=str(session.region_name),
        parameters=parameters,
    )


def _conninfo_of(secrets: Any, arn: str) -> str:
    from psycopg.conninfo import make_conninfo

    secret = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    wanted = {"host": "host", "port": "port", "dbname": "dbname", "username": "user", "password": "password"}
    values = {name: secret[key] for key, name in wanted.items() if key in secret}
    return make_conninfo(**values, sslmode=secret.get("sslmode", "require"))
