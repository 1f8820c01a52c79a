"""Loads a CSV that is made while it is read, and prints rows, seconds and the peak of resident memory as JSON.

A process of its own, for the peak to be this load's alone:
`python -m tests.integration.load_generated_file <loader's conninfo> <dataset's JSON> <MiB> <plain | gzip | repaired>`
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.fakes.object_store import FakeObjectStore

from penstock.adapters.postgres import PostgresWarehouse
from penstock.model.arrivals import Arrival
from penstock.model.datasets import Dataset
from penstock.model.plans import Batch
from penstock.model.streams import ByteStream

HEADER = b"id,name,delay\n"
BLOCK = b"".join(b'%d,"a name, and %0200x",%d\n' % (number, number**20, number % 1000) for number in range(5_000))


class Repeated:
    """`first`, `block` so many times, and `last`; never more than one block in memory."""

    def __init__(self, first: bytes, block: bytes, times: int, last: bytes) -> None:
        self._held = memoryview(first)
        self._block = block
        self._left = times
        self._last = last

    def read(self, size: int, /) -> bytes:
        if not self._held and self._left:
            self._held = memoryview(self._block)
            self._left -= 1
        if not self._held:
            self._held, self._last = memoryview(self._last), b""
        piece, self._held = self._held[:size], self._held[size:]
        return bytes(piece)


class Generated(FakeObjectStore):
    """A store of one file; `repaired` has a bad row at its end, so that all of it takes the slow path."""

    def __init__(self, mebibytes: int, kind: str) -> None:
        super().__init__()
        self.times = mebibytes * 2**20 // len(BLOCK)
        self._pack = gzip.compress if kind == "gzip" else bytes
        self._last = b"a bad row,,\n" if kind == "repaired" else b""

    @contextmanager
    def open(self, arrival: Arrival) -> Iterator[ByteStream]:
        yield Repeated(self._pack(HEADER), self._pack(BLOCK), self.times, self._last)


def main(conninfo: str, definition: str, mebibytes: str, kind: str) -> None:
    dataset = Dataset.model_validate_json(definition)
    store = Generated(int(mebibytes), kind)
    key = f"incoming/{dataset.prefix}big.csv" + (".gz" if kind == "gzip" else "")
    arrival = Arrival("landing", key, f"{mebibytes}-{kind}", 1, f"{mebibytes}-{kind}", datetime.now(UTC))
    warehouse = PostgresWarehouse(conninfo)
    before = peak_mebibytes()
    began = time.perf_counter()
    warehouse.begin(Batch(0, dataset.name, (arrival,)), dataset, store)
    seconds = time.perf_counter() - began
    outcome = warehouse.outcomes(dataset, [arrival])[arrival.id]
    peak = peak_mebibytes()
    expected = store.times * BLOCK.count(b"\n")
    found = {"rows": outcome.rows, "expected": expected, "reason": outcome.reason}
    sys.stdout.write(json.dumps(found | {"seconds": round(seconds, 1), "mib_before": before, "mib_peak": peak}) + "\n")


def peak_mebibytes() -> int:
    """Of resident memory. Not `ru_maxrss` on Linux: that begins at what the parent held when it started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # macOS counts bytes.
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
