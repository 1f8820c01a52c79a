"""`make bench-huge`: one CSV of 5 GB through the whole template, and the worker that loads it killed in the middle.

It has to be in the table once, row by row, and no Lambda worker may ever hold more than 512 MB: the peak of each,
as the kernel counts it. The file is made while it is put, in parts; where S3's stand-in keeps it is its own matter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
from rich.console import Console

from penstock.local.stack import LocalStack

DATASETS = Path(__file__).with_name("huge_datasets")
PART = 64 * 2**20
LIMIT = 512 * 10**6
"""Bytes of resident memory, of any worker."""
READING = 2.5
"""Seconds of processor time that no worker spends but the one that reads the file; what it receives isn't counted."""
console = Console()


def blocks(size: int) -> Iterator[tuple[bytes, int]]:
    """Rows of a CSV, a megabyte or so at a time, and how many they are; the header first."""
    yield b"id,name,delay\n", 0
    made = number = 0
    while made < size:
        block = b"".join(
            b'%d,"a name, and %080x",%d\n' % (n, n * 7919, n % 1000) for n in range(number, number + 8_000)
        )
        yield block, 8_000
        made += len(block)
        number += 8_000


def put(s3: Any, bucket: str, key: str, size: int) -> tuple[int, int]:
    """Bytes and rows. In parts, so that neither side holds more than one."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts: list[dict[str, Any]] = []
    held, total, rows = bytearray(), 0, 0

    def send() -> None:
        number = len(parts) + 1
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=bytes(held))
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        held.clear()

    for block, count in blocks(size):
        held += block
        total += len(block)
        rows += count
        if len(held) >= PART:
            send()
    if held:
        send()
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return total, rows


class Watch:
    """The peaks of the workers, which the nursery forks; and, once, the death of the one that reads the file."""

    def __init__(self, nursery: int, kill_after: float) -> None:
        self._nursery = psutil.Process(nursery)
        self._kill_after = kill_after
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peaks: dict[int, int] = {}
        self.killed: float | None = None
        """Seconds after the last PUT."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.1):
            busiest = None
            for child in self._nursery.children():
                with contextlib.suppress(psutil.Error, OSError):
                    self.peaks[child.pid] = max(self.peaks.get(child.pid, 0), _peak(child.pid))
                    spent = child.cpu_times()
                    if busiest is None or spent.user + spent.system > busiest[0]:
                        busiest = (spent.user + spent.system, child)
            waited = time.monotonic() - self._began
            if self.killed is None and busiest and waited > self._kill_after and busiest[0] > READING:
                os.kill(busiest[1].pid, signal.SIGKILL)
                self.killed = waited


def _peak(pid: int) -> int:
    """Of resident memory, in bytes, since the process began."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--kill-after", type=float, default=5.0, help="seconds after the PUT")
    parser.add_argument("--report", type=Path, help="write the figures to this file, as JSON")
    given = parser.parse_args(arguments)
    with LocalStack.temporary("bench-huge", datasets=DATASETS) as stack:
        s3, bucket = stack.client("s3"), stack.bucket
        began = time.monotonic()
        size, rows = put(s3, bucket, "incoming/readings/huge.csv", int(given.gigabytes * 10**9))
        was_put = time.monotonic()
        console.print(f"{size / 1e9:.2f} GB, {rows:,} rows, put in {was_put - began:.0f} s")
        nursery = next(one.pid for one in stack.status() if one.name == "nursery")
        watch = Watch(nursery, given.kill_after)
        while s3.list_object_versions(Bucket=bucket, Prefix="incoming/").get("Versions"):
            time.sleep(0.5)  # S3 tells nobody that a prefix is empty.
        seconds = time.monotonic() - was_put
        watch.stop()
        settled = s3.list_objects_v2(Bucket=bucket, Prefix="processed/readings/").get("KeyCount", 0)
        with psycopg.connect(stack.warehouse_dsn("owner")) as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT id), max(id) FROM readings").fetchone()
    found_rows, distinct, last = found or (0, 0, 0)
    right = settled == 1 and found_rows == distinct == rows == last + 1
    figures = {
        "gigabytes": round(size / 1e9, 2),
        "rows": rows,
        "rows_in_the_table": found_rows,
        "once": right,
        "killed_after_seconds": watch.killed and round(watch.killed, 1),
        "seconds": round(seconds, 1),
        "megabytes_a_second": round(size / 1e6 / seconds, 1),
        "workers": len(watch.peaks),
        "highest_peak_megabytes": round(max(watch.peaks.values(), default=0) / 1e6, 1),
    }
    console.print(figures)
    if given.report:
        given.report.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if right and watch.killed and max(watch.peaks.values()) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
