"""The peer: dlt, filesystem → postgres. Runs in `.venv-dlt`, prints one JSON line: `{"seconds": …, "rows": …}`.

`defaults` is what dlt's documentation shows first (`read_csv`, rows through its normaliser); `arrow` is its quickest
way that was found: a pyarrow reader whose tables are loaded as parquet by ADBC.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import dlt
import pyarrow.csv
from dlt.sources.filesystem import FileItemDict, filesystem, read_csv


@dlt.transformer()
def read_arrow(files: list[FileItemDict]) -> Iterator[Any]:
    options = pyarrow.csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    for file in files:
        with file.open() as source:
            yield pyarrow.csv.read_csv(source, convert_options=options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["defaults", "arrow"])
    parser.add_argument("--bucket-url", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--schema", required=True, help="an empty one: dlt appends")
    parser.add_argument("--folder", required=True, help="dlt's own working folder")
    given = parser.parse_args()

    started = time.perf_counter()
    credentials = {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "region_name": "us-east-1",
        "endpoint_url": given.endpoint,
    }
    files = filesystem(bucket_url=given.bucket_url, credentials=credentials, file_glob="**/*.csv")
    pipeline = dlt.pipeline(
        f"bench_{given.way}",
        pipelines_dir=given.folder,
        destination=dlt.destinations.postgres(given.database_url),
        dataset_name=given.schema,
    )
    if given.way == "defaults":
        pipeline.run((files | read_csv(na_values=["NA"])).with_name("flights"))
    else:
        pipeline.run((files | read_arrow).with_name("flights"), loader_file_format="parquet")
    seconds = time.perf_counter() - started

    with pipeline.sql_client() as client:
        counted = client.execute_sql("SELECT count(*) FROM flights")
    print(json.dumps({"seconds": seconds, "rows": counted[0][0] if counted else 0}))


if __name__ == "__main__":
    main()
