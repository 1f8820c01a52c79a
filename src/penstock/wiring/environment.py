"""Settings, read once from the environment: the one place that reads `os.environ` for the functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.model.errors import PermanentError


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


def region() -> str:
    return os.environ.get("AWS_REGION", "")


def client(service: str) -> Any:
    """boto3's, which takes region, credentials and endpoint from the environment itself."""
    from penstock.adapters.clients import client

    return client(service)
