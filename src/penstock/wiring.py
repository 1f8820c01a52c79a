"""From the environment to settings and adapters. The one place that reads `os.environ` for the functions.

Everything is built when it is first asked for, kept while the worker lives, and imported where it is built: a function
pays at its cold start for nothing that it does not use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from penstock.adapters.postgres import PostgresSchema
    from penstock.ports import Clock, Leases, ObjectStore, Pipeline, Runs, SearchIndex, Warehouse


class Settings(BaseModel):
    """The environment of every function; a field's variable is `PENSTOCK_` and its name in capitals."""

    model_config = ConfigDict(frozen=True)

    bucket: str = Field(min_length=1)
    lease_table: str = Field(min_length=1)
    state_machine_arn: str = ""
    datasets: Path = Path("/opt/datasets")
    warehouse: Literal["postgres", "none"] = "none"
    warehouse_secret_arn: str = ""
    search_url: str = ""
    search_auth: Literal["aws", "none"] = "aws"
    topic_arn: str = ""
    data_pipeline_id: str = ""
    max_leased_files: int = Field(5_000, gt=0)
    max_leased_bytes: int = Field(50 * 2**30, gt=0)
    run_seconds: int = Field(6 * 3600 + 900, gt=0)
    max_attempts: int = Field(5, gt=0)
    processed_expiration_days: int = Field(0, ge=0)
    failed_expiration_days: int = Field(0, ge=0)
    stack: str = "penstock"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Raises PermanentError that names each variable at fault. A variable that is empty counts as absent."""
        prefix = "PENSTOCK_"
        given = {
            name.removeprefix(prefix).lower(): value
            for name, value in environment.items()
            if name.startswith(prefix) and value
        }
        try:
            return cls.model_validate(given)
        except ValidationError as refused:
            faults = [
                f"{prefix}{str(fault['loc'][0]).upper()}: {fault['msg']}"
                for fault in refused.errors(include_input=False, include_url=False)
            ]
            raise PermanentError(
                f"the function's environment is refused: {'; '.join(faults)}. It is set in template.yaml's Globals."
            ) from None


@cache
def settings() -> Settings:
    return Settings.of(os.environ)


@cache
def datasets() -> Mapping[str, Dataset]:
    from penstock.model.dataset_files import load_datasets

    return load_datasets(settings().datasets)


@cache
def clock() -> Clock:
    from penstock.adapters.clock import SystemClock

    return SystemClock()


@cache
def store() -> ObjectStore:
    from penstock.adapters.s3 import S3ObjectStore

    return S3ObjectStore(_client("s3"), settings().bucket)


@cache
def leases() -> Leases:
    from penstock.adapters.dynamodb import DynamoLeases

    return DynamoLeases(_client("dynamodb"), settings().lease_table)


@cache
def runs() -> Runs:
    from penstock.adapters.stepfunctions import StepFunctionsRuns

    if not settings().state_machine_arn:
        raise PermanentError("PENSTOCK_STATE_MACHINE_ARN is not set, so no run can be started")
    return StepFunctionsRuns(_client("stepfunctions"), settings().state_machine_arn)


@cache
def warehouse() -> Warehouse | None:
    """None for a stack without one: its datasets have indexes alone."""
    if settings().warehouse == "none":
        return None
    from penstock.adapters.postgres import PostgresWarehouse

    return PostgresWarehouse(_warehouse_conninfo())


@cache
def schema() -> PostgresSchema | None:
    """The warehouse's admin side; only `apply_datasets` has the secret of a role that may create tables."""
    if settings().warehouse == "none":
        return None
    from penstock.adapters.postgres import PostgresSchema

    return PostgresSchema(_warehouse_conninfo())


@cache
def search() -> SearchIndex | None:
    """None for a stack without one."""
    url = settings().search_url
    if not url:
        return None
    from penstock.adapters.opensearch import OpenSearchIndex
    from penstock.adapters.opensearch_client import make_client

    return OpenSearchIndex(make_client(url, settings().search_auth, os.environ.get("AWS_REGION", "")))


def pipeline(dataset: Dataset, function_arn: str) -> Pipeline:
    """What the dataset asks to be kicked off. Raises PermanentError where the stack does not have it.

    `function_arn` is the function's own, whose partition, region and account a nested state machine shares.
    """
    from penstock.adapters.pipelines import DataPipeline, StateMachinePipeline

    wanted = dataset.kick_off
    if wanted is None:
        raise PermanentError(
            f"dataset {dataset.name} asks for no kickoff: its kick_off was removed while a run went on"
        )
    if wanted.state_machine:
        _, partition, _, region, account, *_ = function_arn.split(":")
        machine = f"arn:{partition}:states:{region}:{account}:stateMachine:{wanted.state_machine}"
        return StateMachinePipeline(_client("stepfunctions"), machine)
    if not settings().data_pipeline_id:
        raise PermanentError(
            f"dataset {dataset.name} kicks off AWS Data Pipeline, and the stack has none. Deploy with DataPipelineId, "
            "or name a state_machine in the dataset's kick_off."
        )
    return DataPipeline(_client("datapipeline"), settings().data_pipeline_id, clock())


def forget_connections() -> None:
    """After an error: the next call reads the warehouse's secret again, which may have been rotated, and connects."""
    warehouse.cache_clear()
    schema.cache_clear()


def _client(service: str) -> Any:
    from penstock.adapters.clients import client

    return client(service)


def _warehouse_conninfo() -> str:
    from botocore.exceptions import BotoCoreError, ClientError
    from psycopg.conninfo import make_conninfo

    arn = settings().warehouse_secret_arn
    if not arn:
        raise PermanentError(
            "PENSTOCK_WAREHOUSE_SECRET_ARN is not set: it names the secret with host, user and password"
        )
    try:
        secret = json.loads(_client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
        return make_conninfo(
            host=secret["host"],
            port=secret.get("port", 5432),
            dbname=secret["dbname"],
            user=secret["username"],
            password=secret["password"],
            sslmode=secret.get("sslmode", "require"),
            connect_timeout=10,
        )
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        if code in ("ResourceNotFoundException", "AccessDeniedException"):
            raise PermanentError(
                f"the warehouse's secret {arn} can't be read: {code}. Check the ARN and the policy."
            ) from None
        raise TransientError(f"the warehouse's secret {arn} can't be read just now: {code}") from None
    except BotoCoreError as lost:
        raise TransientError(f"Secrets Manager can't be reached: {type(lost).__name__}") from None
    except (KeyError, ValueError, TypeError):
        # `from None`, and no text of the error: it may quote the secret.
        raise PermanentError(
            f"the warehouse's secret {arn} is not JSON with host, port, dbname, username and password"
        ) from None
