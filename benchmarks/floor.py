"""The floor: each file from the same S3, and one COPY in a transaction of its own, by four threads. Nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg import sql

CHUNK = 1 << 20


def load(client: Any, bucket: str, keys: list[str], conninfo: str, table: str, columns: list[str]) -> float:
    """Loads the CSV files at `keys` into `table`; the seconds it took. `client` is a boto3 S3 client."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER true, NULL 'NA')").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )

    def worker(mine: list[str]) -> None:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for key in mine:
                body = client.get_object(Bucket=bucket, Key=key)["Body"]
                with connection.transaction(), connection.cursor() as cursor, cursor.copy(copy) as pipe:
                    while chunk := body.read(CHUNK):
                        pipe.write(chunk)

    threads = 4
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(worker, [keys[number::threads] for number in range(threads)]))
    return time.perf_counter() - started
