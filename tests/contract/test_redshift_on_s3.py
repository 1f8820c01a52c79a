"""A load into Redshift as it is on AWS: the bucket is S3's, and the stand-in is a process that reads from it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Postgres
from tests.contract.engines import _child, client, free_port
from tests.contract.warehouses import dataset_of, load

from penstock.adapters.redshift import DataApi, Endpoint, RedshiftSchema, RedshiftWarehouse
from penstock.adapters.s3 import S3ObjectStore
from penstock.model.outcomes import LoadOutcome, Verdict


def test_files_in_s3_are_copied_and_the_bad_one_is_set_aside(
    postgres: Postgres, aws: str, s3: Any, bucket: str, tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "penstock.local.redshift", "--postgres", postgres.superuser, "--port", str(port)]
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    store = S3ObjectStore(s3, bucket)
    dataset = dataset_of()
    for name, data in {"a b+%.csv": b"1,a,1\n2,b,2\n", "b.csv": b"3,c,3\n", "c.csv": b"4,d,soon\n"}.items():
        s3.put_object(Bucket=bucket, Key=f"incoming/{dataset.prefix}{name}", Body=b"id,name,delay\n" + data)
    arrivals = list(store.arrivals("incoming/"))

    with _child(command, {**os.environ, **credentials, "AWS_ENDPOINT_URL": aws}, tmp_path / "redshift.log", port):
        data_api = client("redshift-data", f"http://127.0.0.1:{port}")
        owner, loader = (
            DataApi(data_api, Endpoint("dev", cluster="local", db_user=user))
            for user in ("penstock_owner", "penstock_loader")
        )
        did = RedshiftSchema(owner, "penstock_loader").apply([dataset])
        again = RedshiftSchema(owner, "penstock_loader").apply([dataset])
        warehouse = RedshiftWarehouse(loader, "default", store)
        outcomes = load(warehouse, dataset, store, *arrivals)
        counts = dict(warehouse.rows_by_arrival(dataset))

    good, other, bad = arrivals
    assert f"created table public.{dataset.name}" in did
    assert again == []
    assert outcomes[good.id] == LoadOutcome(Verdict.LOADED, rows=2)
    assert outcomes[bad.id].verdict is Verdict.QUARANTINED
    assert counts == {good.id: 2, other.id: 1}
