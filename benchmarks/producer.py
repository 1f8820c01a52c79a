"""`make bench-producer`: the producer under trouble, and beside a naive loop and the stream's own limit.

Under trouble: a Kinesis endpoint that throttles 30 % of the records, fails one request in a hundred and lets another
time out, half of which were carried out all the same. Everything has to arrive, once by its id, and in the order of its
key. Beside others, on the laptop's stream: the producer; a loop of boto3 that sends 500 events, looks at no result and
waits for each answer, as it is often written; and the limit, PutRecords of ready-made records from as many threads as
the producer has.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from tests.fakes.kinesis_endpoint import Stream, Trouble, kinesis_endpoint

from penstock.local.clients import session
from penstock.local.stack import LocalStack
from penstock.producer import Producer
from penstock.producer.sending import make_client

REQUESTS = 4
KEYS = 10_000
console = Console()


def event(n: int) -> dict[str, Any]:
    return {
        "n": n,
        "type": "departure",
        "carrier": "UA",
        "origin": "EWR",
        "dest": "IAH",
        "delay": n % 60,
        "at": "2013-01-01",
    }


def under_trouble(events: int, aggregate: int) -> dict[str, Any]:
    """Raises AssertionError where one is lost or overtaken."""
    trouble = Trouble(throttled=0.3, timed_out=0.01, failed=0.01)
    with kinesis_endpoint(trouble) as stream:
        began = time.monotonic()
        producer = Producer("trouble", client=stream.client(), aggregate=aggregate, requests=REQUESTS, patience=600)
        for n in range(events):
            producer.put(event(n), key=f"key-{n % KEYS}")
        left = producer.close(timeout=1800)
        seconds = time.monotonic() - began
        distinct, repeats, overtaken = _arrived(stream)
    if left or distinct != events or overtaken:
        raise AssertionError(f"{events:,} put, {distinct:,} arrived, {len(left)} handed back, {overtaken} overtaken")
    return {
        "events": events,
        "aggregate": aggregate,
        "distinct": distinct,
        "repeats": repeats,
        "overtaken": overtaken,
        "seconds": round(seconds, 1),
        "a_second": round(events / seconds),
        **producer.counters.to_json(),
    }


def _arrived(stream: Stream) -> tuple[int, int, int]:
    seen: set[str] = set()
    last: defaultdict[str, int] = defaultdict(lambda: -1)
    repeats = overtaken = 0
    for shard in stream.kept:
        for key, data in shard:
            for line in data.splitlines():
                one = json.loads(line)
                if one["event_id"] in seen:
                    repeats += 1
                    continue
                seen.add(one["event_id"])
                overtaken += one["n"] < last[key]
                last[key] = one["n"]
    return len(seen), repeats, overtaken


def with_producer(client: Any, stream: str, events: int) -> None:
    with Producer(stream, client=client, requests=REQUESTS) as producer:
        for n in range(events):
            producer.put(event(n), key=f"key-{n % KEYS}")


def with_a_loop(client: Any, stream: str, events: int) -> None:
    for first in range(0, events, 500):
        records = [
            {"Data": json.dumps(event(n)).encode(), "PartitionKey": f"key-{n % KEYS}"}
            for n in range(first, first + 500)
        ]
        client.put_records(StreamName=stream, Records=records)


def at_the_limit(client: Any, stream: str, events: int) -> None:
    records = [{"Data": json.dumps(event(n)).encode(), "PartitionKey": f"key-{n}"} for n in range(500)]
    with ThreadPoolExecutor(REQUESTS) as threads:
        list(threads.map(lambda _: client.put_records(StreamName=stream, Records=records), range(events // 500)))


WAYS: dict[str, Callable[[Any, str, int], None]] = {
    "the stream's limit": at_the_limit,
    "Penstock's producer": with_producer,
    "a naive loop": with_a_loop,
}


@contextmanager
def stream_of(kinesis: Any) -> Iterator[str]:
    name = f"bench-{uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=4)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    kinesis.delete_stream(StreamName=name)


def side_by_side(events: int, rounds: int) -> dict[str, list[float]]:
    """Events a second, of each way and round."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with LocalStack.temporary("bench-producer") as stack:
        kinesis = stack.client("kinesis")
        client = make_client(REQUESTS, session(), kinesis.meta.endpoint_url)
        for _ in range(rounds):
            for way, run in WAYS.items():
                with stream_of(kinesis) as name:
                    began = time.monotonic()
                    run(client, name, events)
                    found[way].append(events / (time.monotonic() - began))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="under trouble")
    parser.add_argument("--beside", type=int, default=100_000, help="events of each way on the laptop's stream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", type=Path, help="write all figures to this file, as JSON")
    given = parser.parse_args(arguments)
    report: dict[str, Any] = {"under_trouble": [], "side_by_side": {}}
    for aggregate in (0, 16_384):
        found = under_trouble(given.events, aggregate)
        report["under_trouble"].append(found)
        console.print(found)
    rates = side_by_side(given.beside, given.rounds)
    limit = statistics.median(rates["the stream's limit"])
    table = Table("way", "events a second, each round", "median", "of the limit")
    for way, each in rates.items():
        report["side_by_side"][way] = [round(one) for one in each]
        typical = statistics.median(each)
        table.add_row(way, ", ".join(f"{one:,.0f}" for one in each), f"{typical:,.0f}", f"{typical / limit:.0%}")
    console.print(table)
    if given.report:
        given.report.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
