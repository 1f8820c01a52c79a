"""`make bench`: Penstock beside its floor and beside dlt, on the same files, engines and machine, in one run.

Penstock is timed twice over: from the first PUT and from the last PUT, in both cases until nothing is left in
`incoming/`. Its first round meets cold workers, the later ones warm ones; each is shown. The floor and dlt find all of
their files in the bucket when their clocks start.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks import floor, workloads
from benchmarks.machine import measured_here
from penstock.local.stack import LocalStack
from penstock.model.dataset_files import load_datasets

HERE = Path(__file__).parent
DLT_PYTHON = HERE.parent / ".venv-dlt" / "bin" / "python"
console = Console()


@dataclass(frozen=True)
class Timing:
    workload: str
    way: str
    rows: int
    seconds: list[float]
    note: str = ""

    @property
    def typical(self) -> float:
        return statistics.median(self.seconds)


class Bench:
    def __init__(self, stack: LocalStack, rounds: int) -> None:
        self.stack = stack
        self.rounds = rounds
        self.s3 = stack.client("s3")
        self.bucket = stack.outputs["LandingBucket"]
        self.columns = [column.name for column in load_datasets(HERE / "datasets")["flights"].columns]
        self.timings: list[Timing] = []

    def workload(
        self, name: str, make: Callable[[], Iterable[tuple[str, bytes]]], rows: int, ways: Iterable[str]
    ) -> None:
        files = list(make())
        keys = self._put(f"bench/{name}/", files)
        self._floor(name, keys, rows)
        self._penstock(name, files, rows)
        for way in ways:
            self._dlt(name, way, rows)

    def _floor(self, name: str, keys: list[str], rows: int) -> None:
        seconds = []
        for number in range(self.rounds):
            table = f"floor_{name}_{number}"
            with psycopg.connect(self.stack.warehouse_dsn("owner"), autocommit=True) as connection:
                # The table that Penstock loads into, less the lineage that only Penstock keeps.
                name_of = sql.Identifier(table)
                connection.execute(sql.SQL("CREATE TABLE {} (LIKE flights INCLUDING ALL)").format(name_of))
                connection.execute(
                    sql.SQL("ALTER TABLE {} DROP penstock_arrival, DROP penstock_loaded_at").format(name_of)
                )
            seconds.append(
                floor.load(self.s3, self.bucket, keys, self.stack.warehouse_dsn("owner"), table, self.columns)
            )
            self._expect(table, rows)
        self._record(Timing(name, "floor: S3 + COPY, a transaction a file, 4 threads", rows, seconds))

    def _penstock(self, name: str, files: list[tuple[str, bytes]], rows: int) -> None:
        from_first, from_last = [], []
        for number in range(self.rounds):
            with psycopg.connect(self.stack.warehouse_dsn("owner"), autocommit=True) as connection:
                connection.execute("TRUNCATE flights")
            first = time.perf_counter()
            self._put(f"incoming/flights/{name}/{number}/", files)
            last = time.perf_counter()
            while self.s3.list_objects_v2(Bucket=self.bucket, Prefix="incoming/", MaxKeys=1)["KeyCount"]:
                time.sleep(0.05)
                if time.perf_counter() - last > 600:
                    raise SystemExit(f"{name}: files are still in incoming/ after ten minutes")
            done = time.perf_counter()
            self._expect("flights", rows)
            from_first.append(done - first)
            from_last.append(done - last)
        self._record(Timing(name, "Penstock, from the last PUT", rows, from_last, "the first round is cold"))
        self._record(Timing(name, "Penstock, from the first PUT", rows, from_first, "the first round is cold"))

    def _dlt(self, name: str, way: str, rows: int) -> None:
        with psycopg.connect(self.stack.warehouse_dsn("owner")) as connection:
            info = connection.info
            url = f"postgresql://{info.user}:trusted@{info.host}:{info.port}/{info.dbname}"
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [
                    *(str(DLT_PYTHON), str(HERE / "with_dlt.py"), way, "--folder", folder),
                    *("--bucket-url", f"s3://{self.bucket}/bench/{name}", "--endpoint", self.stack.endpoint),
                    *("--schema", f"dlt_{name}_{way}"),
                    *("--database-url", url),
                ],
                env={**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false"},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise SystemExit(f"dlt ({way}) failed:\n{done.stderr[-4000:]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        if answer["rows"] != rows:
            raise SystemExit(f"dlt ({way}) loaded {answer['rows']} rows of {rows}")
        self._record(Timing(name, f"dlt, {way}", rows, [answer["seconds"]]))

    def _put(self, prefix: str, files: list[tuple[str, bytes]]) -> list[str]:
        def put(file: tuple[str, bytes]) -> str:
            self.s3.put_object(Bucket=self.bucket, Key=prefix + file[0], Body=file[1])
            return prefix + file[0]

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(put, files))

    def _expect(self, table: str, rows: int) -> None:
        with psycopg.connect(self.stack.warehouse_dsn("owner")) as connection:
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            counted = connection.execute(count).fetchone()
        if counted != (rows,):
            raise SystemExit(f"{table} holds {counted} rows, not {rows}: nothing was measured")

    def _record(self, timing: Timing) -> None:
        self.timings.append(timing)
        console.print(f"  {timing.workload}: {timing.way}: {timing.typical:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-dlt", action="store_true")
    parser.add_argument("--only", choices=["year", "big"])
    given = parser.parse_args()

    ways = [] if given.without_dlt else ["defaults", "arrow"]
    with LocalStack.temporary(datasets=HERE / "datasets", on_progress=lambda text: console.print(f"[dim]{text}")) as on:
        bench = Bench(on, given.rounds)
        if given.only != "big":
            bench.workload("year", workloads.year, workloads.YEAR_ROWS, ways)
        if given.only != "year":
            # dlt's defaults would need minutes for ten years' rows: the ratio is plain from the one.
            bench.workload("big", workloads.big, workloads.BIG_ROWS, [way for way in ways if way != "defaults"])
    show(bench.timings)
    save(bench.timings)


def show(timings: list[Timing]) -> None:
    floors = {timing.workload: timing.typical for timing in timings if timing.way.startswith("floor")}
    table = Table("workload", "way", "seconds (each round)", "rows/s", "times the floor")
    for timing in timings:
        table.add_row(
            timing.workload,
            timing.way,
            f"{timing.typical:.2f} ({', '.join(f'{second:.2f}' for second in timing.seconds)})",
            f"{timing.rows / timing.typical:,.0f}",
            f"{timing.typical / floors[timing.workload]:.1f}",
        )
    console.print(table)


def save(timings: list[Timing]) -> None:
    document: dict[str, Any] = {
        **measured_here("make bench"),
        "timings": [asdict(timing) | {"typical": timing.typical} for timing in timings],
    }
    document["versions"] |= _dlt_version()
    path = HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"Written to {path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path))


def _dlt_version() -> dict[str, str]:
    if not DLT_PYTHON.exists():
        return {}
    asked = [str(DLT_PYTHON), "-c", "import dlt; print(dlt.__version__)"]
    return {"dlt": subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()}


if __name__ == "__main__":
    main()
