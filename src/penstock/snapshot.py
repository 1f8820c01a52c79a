"""SnapStart: Lambda begins one worker when a version is published, and each that it wants later is a copy of that one.

What a copy has from before the snapshot it shares with all others, however old it is. So nothing is asked of AWS by
then, no client and no connection is made, and no moment is kept: modules are imported and datasets are read.
"""

from __future__ import annotations

import importlib
import os
import random

from penstock import wiring


def prepare_for_copies() -> None:
    """Registers what the runtime calls before the snapshot and in each copy. Where none is taken, nothing."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") != "snap-start":
        return
    # Of the runtime, and so in no layer.
    from snapshot_restore_py import (
        register_after_restore,
        register_before_snapshot,
    )

    register_before_snapshot(_load)
    # Retries of boto3 and of OpenSearch are scattered by it. Ids aren't drawn from it, but from the system's entropy.
    register_after_restore(random.seed)


def _load() -> None:
    """What the first event would wait for: more than half of a cold start."""
    known = wiring.settings()
    wanted = ["s3", "dynamodb"]
    if known.warehouse != "none":
        wanted.append(known.warehouse)
    if known.search_url:
        wanted += ["opensearch", "opensearch_client"]
    for adapter in wanted:
        importlib.import_module(f"penstock.adapters.{adapter}")
    wiring.datasets()
