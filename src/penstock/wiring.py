"""From the environment to settings and adapters. The one place that reads `os.environ` for the functions.

Everything is built when it is first asked for, kept while the worker lives, and imported where it is built: a function
pays at its cold start for nothing that it does not use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.huge import Bound

if TYPE_CHECKING:
    from penstock.adapters.redshift import DataApi
    from penstock.adapters.sqs_poison import SqsPoison
    from penstock.flows.apply_datasets import Roles, Schema, ViewSchema
    from penstock.flows.list_incoming import Limits
    from penstock.flows.rebuild_views import Views
    from penstock.model.rates import Rate
    from penstock.model.stream_events import EventFields
    from penstock.model.views import View
    from penstock.ports import Clock, Leases, ObjectStore, Pipeline, Runs, SearchIndex, Warehouse
    from penstock.ports.counts import Counts
    from penstock.ports.watches import Notices, Watches


class Settings(BaseModel):
    """The environment of every function; a field's variable is `PENSTOCK_` and its name in capitals."""

    model_config = ConfigDict(frozen=True)

    bucket: str = Field(min_length=1)
    lease_table: str = Field(min_length=1)
    release: str = ""
    """The deployment's, where the stack has a canary; nothing reads it."""
    state_machine_arn: str = ""
    """Of the ingest machine, or of the version of it that this release begins runs of."""
    backfill_machine_arn: str = ""
    backfill_threshold_files: int = Field(0, ge=0)
    max_backfill_batches: int = Field(8, gt=0)
    datasets: Path = Path("/opt/datasets")
    warehouse: Literal["postgres", "redshift", "none"] = "none"
    warehouse_secret_arn: str = ""
    warehouse_host: str = ""
    warehouse_database: str = "warehouse"
    warehouse_user: str = "penstock_loader"
    warehouse_admin: str = ""
    redshift_database: str = "dev"
    redshift_workgroup: str = ""
    redshift_cluster: str = ""
    redshift_db_user: str = ""
    redshift_loader: str = ""
    redshift_copy_role: str = "default"
    search_url: str = ""
    search_auth: Literal["aws", "none"] = "aws"
    topic_arn: str = ""
    data_pipeline_id: str = ""
    rebuild_views_arn: str = ""
    max_leased_files: int = Field(5_000, gt=0)
    max_leased_bytes: int = Field(50 * 2**30, gt=0)
    run_seconds: int = Field(6 * 3600 + 900, gt=0)
    max_parallel_batches: int = Field(8, gt=0)
    max_batches_at_work: int = Field(40, gt=0)
    min_seconds_between_runs: int = Field(0, ge=0)
    max_attempts: int = Field(5, gt=0)
    has_task: bool = False
    load_seconds: float = Field(840, gt=0)
    processed_expiration_days: int = Field(0, ge=0)
    failed_expiration_days: int = Field(0, ge=0)
    counts_table: str = ""
    stream_dead_letters_url: str = ""
    stream_dedupe_minutes: int = Field(60, ge=0)
    stream_type_field: str = "type"
    stream_time_field: str = "at"
    messages_prefix: str = ""
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
def limits() -> Limits:
    """What a listing keeps to."""
    from penstock.flows.list_incoming import Limits
    from penstock.flows.start_backfill import BackfillLimits

    given = settings()
    return Limits(
        given.max_leased_files,
        given.max_leased_bytes,
        timedelta(seconds=given.run_seconds),
        closings=given.max_attempts,
        attempts=given.max_attempts,
        parallel=given.max_parallel_batches,
        at_work=given.max_batches_at_work,
        between=timedelta(seconds=given.min_seconds_between_runs),
        backfill=BackfillLimits(given.backfill_threshold_files, given.max_backfill_batches),
    )


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
    return StepFunctionsRuns(_client("stepfunctions"), settings().state_machine_arn, settings().backfill_machine_arn)


@cache
def warehouse() -> Warehouse | None:
    """None for a stack without one: its datasets have indexes alone."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftWarehouse

        return RedshiftWarehouse(_redshift(), settings().redshift_copy_role, store())
    from penstock.adapters.postgres import Limits, PostgresWarehouse

    return PostgresWarehouse(_warehouse_conninfo, Limits(whole=settings().load_seconds))


@cache
def counts() -> Counts:
    from penstock.adapters.dynamodb_counts import DynamoCounts

    if not settings().counts_table:
        raise PermanentError("PENSTOCK_COUNTS_TABLE is not set: deploy with Stream, which makes the table")
    return DynamoCounts(_client("dynamodb"), settings().counts_table, clock())


@cache
def rates() -> Mapping[str, Rate]:
    from penstock.model.rates import load_rates

    return load_rates(settings().datasets)


@cache
def watches() -> Watches:
    """In the counts' table, which `counts` has looked for."""
    from penstock.adapters.dynamodb_watches import DynamoWatches

    return DynamoWatches(_client("dynamodb"), settings().counts_table)


@cache
def notices() -> Notices:
    from penstock.adapters.sns import SnsNotices

    return SnsNotices(_client("sns"), settings().topic_arn)


@cache
def poison_queue() -> SqsPoison:
    from penstock.adapters.sqs_poison import SqsPoison

    return SqsPoison(_client("sqs"), settings().stream_dead_letters_url)


def messages_prefix() -> str:
    """Where messages of the queue are packed to, below `incoming/`."""
    from penstock.model.arrivals import INCOMING

    if not settings().messages_prefix:
        raise PermanentError("PENSTOCK_MESSAGES_PREFIX is not set: deploy with Messages, which sets it")
    return f"{INCOMING}{settings().messages_prefix}"


@dataclass(frozen=True, slots=True)
class Streaming:
    """Where an event's type and time stand, and for how long its id is remembered."""

    fields: EventFields
    window: timedelta


@cache
def streaming() -> Streaming:
    from penstock.model.stream_events import EventFields

    known = settings()
    fields = EventFields(type=known.stream_type_field, at=known.stream_time_field)
    return Streaming(fields, timedelta(minutes=known.stream_dedupe_minutes))


def load_bound() -> Bound | None:
    """None where rows don't pass through the function: Redshift reads the files itself, in its own time."""
    return None if settings().warehouse == "redshift" else index_bound()


def index_bound() -> Bound:
    return Bound(settings().has_task)


@cache
def schema() -> Schema | None:
    """The warehouse's admin side; only `apply_datasets` has the secret of a role that may create tables."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftSchema

        return RedshiftSchema(_redshift(), settings().redshift_loader)
    from penstock.adapters.postgres import PostgresSchema

    return PostgresSchema(_warehouse_conninfo)


@cache
def roles() -> Roles | None:
    """Of a database that the stack made, where its administrator makes them; None elsewhere."""
    admin = settings().warehouse_admin
    if not admin:
        return None
    from penstock.adapters.postgres import PostgresRoles

    return PostgresRoles(lambda: _by_iam(admin), _warehouse_conninfo)


@cache
def views() -> Views | None:
    """Those that the datasets' tables are made into."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftViews

        return RedshiftViews(_redshift())
    from penstock.adapters.postgres import PostgresViews

    return PostgresViews(_warehouse_conninfo)


@cache
def view_schema() -> ViewSchema | None:
    """As `schema`, of views."""
    if settings().warehouse == "none":
        return None
    if settings().warehouse == "redshift":
        from penstock.adapters.redshift import RedshiftViewSchema

        return RedshiftViewSchema(_redshift(), settings().redshift_loader)
    from penstock.adapters.postgres import PostgresViewSchema

    return PostgresViewSchema(_warehouse_conninfo)


@cache
def described_views() -> Mapping[str, View]:
    from penstock.model.views import load_views

    return load_views(settings().datasets, datasets())


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
    if wanted.rebuild_views and settings().rebuild_views_arn:
        return StateMachinePipeline(_client("stepfunctions"), settings().rebuild_views_arn)
    if wanted.state_machine:
        _, partition, _, region, account, *_ = function_arn.split(":")
        machine = f"arn:{partition}:states:{region}:{account}:stateMachine:{wanted.state_machine}"
        return StateMachinePipeline(_client("stepfunctions"), machine)
    if not settings().data_pipeline_id:
        raise PermanentError(
            f"dataset {dataset.name} kicks off AWS Data Pipeline, and the stack has none. Deploy with DataPipelineId, "
            "or name a state_machine or rebuild_views in the dataset's kick_off."
        )
    return DataPipeline(_client("datapipeline"), settings().data_pipeline_id, clock())


def forget_connections() -> None:
    """After an error: the next call reads the warehouse's secret again, which may have been rotated, and connects."""
    warehouse.cache_clear()
    schema.cache_clear()
    views.cache_clear()
    view_schema.cache_clear()


def _client(service: str) -> Any:
    from penstock.adapters.clients import client

    return client(service)


def _redshift() -> DataApi:
    """IAM signs each call; a secret is named by its ARN and read by Redshift, never by Penstock."""
    from penstock.adapters.redshift import DataApi, Endpoint

    known = settings()
    endpoint = Endpoint(
        database=known.redshift_database,
        workgroup=known.redshift_workgroup,
        cluster=known.redshift_cluster,
        db_user=known.redshift_db_user,
        secret_arn=known.warehouse_secret_arn,
    )
    return DataApi(_client("redshift-data"), endpoint)


def _warehouse_conninfo() -> str:
    """Asked for each connection. Raises DestinationDownError where there is no way in."""
    from penstock.adapters.postgres.login import by_secret, no_way_in

    known = settings()
    if known.warehouse_host:
        return _by_iam(known.warehouse_user)
    if not known.warehouse_secret_arn:
        raise no_way_in("PENSTOCK_WAREHOUSE_SECRET_ARN is not set: set the stack's WarehouseSecretArn and deploy")
    return by_secret(_client("secretsmanager"), known.warehouse_secret_arn, known.datasets)


def _by_iam(user: str) -> str:
    from penstock.adapters.postgres.login import by_iam

    known = settings()
    return by_iam(_client("rds"), known.warehouse_host, known.warehouse_database, user, known.datasets)
