"""Whatever stream and disk refuse, or take and say nothing of: nothing is lost, and nothing is overtaken."""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from penstock.producer import BufferFullError, Producer

SCHEDULES = int(os.environ.get("PENSTOCK_PRODUCER_SCHEDULES", "8"))
KEYS = 7


class Stream:
    """Refuses a share of the records, or fails as a whole, before or after it was carried out."""

    def __init__(self, choose: random.Random) -> None:
        self.choose = choose
        self.refused = 0.0
        self.fails = ""
        self.kept: list[bytes] = []
        self.lock = Lock()

    def put_records(self, Records: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803 - As boto3 has it.
        with self.lock:
            if self.fails == "before":
                raise ConnectionError
            results = []
            for record in Records:
                refused = self.choose.random() < self.refused
                if not refused:
                    self.kept.append(record["Data"])
                results.append({"ErrorCode": "ProvisionedThroughputExceededException"} if refused else {})
            if self.fails == "after":
                raise ConnectionError
            return {"Records": results}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"_PICK_UP": 0.02, "_LONGEST_WAIT": 0.02, "_FIRST_WAIT": 0.001}.items():
        monkeypatch.setattr(f"penstock.producer.producer.{name}", seconds)
    monkeypatch.setattr("penstock.producer.overflow._AGAIN", 0.02)
    monkeypatch.setattr("penstock.producer.spill.SEGMENT", 2_000)


def flaky(choose: random.Random, share: Callable[[], float]) -> Callable[[int], None]:
    real = os.fsync

    def fsync(handle: int) -> None:
        if choose.random() < share():
            raise OSError(28, "No space left on device")
        real(handle)

    return fsync


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_nothing_is_lost_or_overtaken(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)  # noqa: S311 - a schedule that can be had again
    stream, disk = Stream(choose), {"full": 0.0}
    monkeypatch.setattr("penstock.producer.spill.os.fsync", flaky(choose, lambda: disk["full"]))
    put: list[str] = []
    handed_back: set[str] = set()

    def producer(**more: Any) -> Producer:
        client: Any = stream
        return Producer("clicks", client=client, spill=tmp_path, linger=0.001, **more)

    while len(put) < 400 and not handed_back:  # What is handed back is its owner's, and so is its order.
        sender = producer(
            patience=choose.choice([0, 0.01, 0.1]),
            buffer=choose.choice([3_000, 50_000, 10**7]),
            aggregate=choose.choice([0, 500]),
        )
        for _ in range(4):
            stream.refused, stream.fails = choose.choice([0, 0.3, 1, 1]), choose.choice(["", "", "before", "after"])
            disk["full"] = choose.choice([0, 0, 0.5, 1])
            for _ in range(choose.randrange(60)):
                n = len(put)
                with suppress(BufferFullError):
                    put.append(sender.put({"n": n, "padding": "x" * (n % 200)}, key=f"user-{n % KEYS}", timeout=0.005))
        disk["full"] = choose.choice([0, 0, 0, 1])
        handed_back |= {one.event.id for one in sender.close(timeout=0.01)}

    stream.refused, stream.fails, disk["full"] = 0, "", 0.0
    with producer() as sender:
        assert sender.flush(60)

    arrived = [json.loads(line) for data in stream.kept for line in data.splitlines()]
    assert set(put) <= {event["event_id"] for event in arrived} | handed_back
    assert list(tmp_path.iterdir()) == []
    seen: set[str] = set()
    last: defaultdict[int, int] = defaultdict(lambda: -1)
    for event in arrived:
        if event["event_id"] not in seen | handed_back:
            assert event["n"] > last[event["n"] % KEYS]
            last[event["n"] % KEYS] = event["n"]
        seen.add(event["event_id"])
