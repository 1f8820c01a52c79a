"""What every function works files with: the bucket, who holds what, the runs, the clock, and the bounds it keeps to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError
from penstock.model.huge import Bound
from penstock.wiring.environment import client, settings

if TYPE_CHECKING:
    from penstock.flows.start_run import Limits
    from penstock.ports import Clock, Leases, ObjectStore, Runs


@cache
def datasets() -> Mapping[str, Dataset]:
    from penstock.model.dataset_files import load_datasets

    return load_datasets(settings().datasets)


@cache
def store() -> ObjectStore:
    from penstock.adapters.s3 import S3ObjectStore

    return S3ObjectStore(client("s3"), settings().bucket)


@cache
def leases() -> Leases:
    from penstock.adapters.dynamodb import DynamoLeases

    return DynamoLeases(client("dynamodb"), settings().lease_table)


@cache
def runs() -> Runs:
    from penstock.adapters.stepfunctions import StepFunctionsRuns

    if not settings().state_machine_arn:
        raise PermanentError("PENSTOCK_STATE_MACHINE_ARN is not set, so no run can be started")
    return StepFunctionsRuns(client("stepfunctions"), settings().state_machine_arn, settings().backfill_machine_arn)


@cache
def clock() -> Clock:
    from penstock.adapters.clock import SystemClock

    return SystemClock()


@cache
def limits() -> Limits:
    """What a listing keeps to."""
    from penstock.flows.start_backfill import BackfillLimits
    from penstock.flows.start_run import Limits

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


def load_bound() -> Bound | None:
    """None where rows don't pass through the function: Redshift reads the files itself, in its own time."""
    return None if settings().warehouse == "redshift" else index_bound()


def index_bound() -> Bound:
    return Bound(settings().has_task)
