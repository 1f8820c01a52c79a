"""A Kinesis endpoint that keeps what it takes and fails as told: PutRecords alone, over HTTP, for the real client.

A record is refused, a request times out before or after it was carried out, an answer is an error 500. Records are kept
in the order in which a shard would have them; the key's hash chooses among `shards`.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config


@dataclass
class Trouble:
    """Shares, from 0 to 1."""

    throttled: float = 0.0
    """Of records."""
    timed_out: float = 0.0
    """Of requests; every other one of them was carried out all the same."""
    failed: float = 0.0
    """Of requests, with a 500; nothing was carried out."""
    seconds: float = 0.5
    """That a request which times out hangs."""
    code: str = ""
    """All requests are refused with it."""
    most: float = 0.0
    """Records that all shards together take a second, as long as they are full; 0 is without bound."""


@dataclass
class Stream:
    endpoint: str = ""
    trouble: Trouble = field(default_factory=Trouble)
    shards: int = 4
    requests: int = 0
    kept: list[list[tuple[str, bytes]]] = field(default_factory=list)
    """By shard: partition key and data."""
    room: float = 0.0
    """Records that `most` has still room for, at the time `since`."""
    since: float = field(default_factory=time.monotonic)
    asked: threading.Event = field(default_factory=threading.Event)
    """Set at the first request."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    random: random.Random = field(default_factory=lambda: random.Random(20130101))  # noqa: S311 - a fixed order

    def client(self, read_timeout: float = 0.3) -> Any:
        """As the producer's own, but less patient."""
        return boto3.client(
            "kinesis",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                connect_timeout=1,
                read_timeout=read_timeout,
                retries={"total_max_attempts": 1},
                max_pool_connections=8,
            ),
        )

    def events(self) -> list[dict[str, Any]]:
        """All that was taken, line by line, shard after shard."""
        return [json.loads(line) for shard in self.kept for _, data in shard for line in data.splitlines()]

    def take(self, records: list[dict[str, str]]) -> list[dict[str, str]]:
        with self.lock:
            return [self._take(record) for record in records]

    def _take(self, record: dict[str, str]) -> dict[str, str]:
        if self.random.random() < self.trouble.throttled or not self._has_room():
            return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        key = record["PartitionKey"]
        shard = int.from_bytes(md5(key.encode()).digest()[:2]) % self.shards  # noqa: S324 - Kinesis hashes so.
        self.kept[shard].append((key, base64.b64decode(record["Data"])))
        return {"SequenceNumber": str(len(self.kept[shard])), "ShardId": f"shardId-{shard:012d}"}

    def _has_room(self) -> bool:
        now, most = time.monotonic(), self.trouble.most
        self.room, self.since = min(most, self.room + (now - self.since) * most), now
        has = not most or self.room >= 1
        self.room -= has
        return has


@contextmanager
def kinesis_endpoint(trouble: Trouble | None = None, shards: int = 4) -> Iterator[Stream]:
    stream = Stream("", trouble or Trouble(), shards)
    stream.kept = [[] for _ in range(shards)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with stream.lock:
                stream.requests += 1
                number, chance = stream.requests, stream.random.random()
            stream.asked.set()
            if stream.trouble.code:
                self._answer(400, {"__type": stream.trouble.code, "message": "told to"})
                return
            if chance < stream.trouble.failed:
                self._answer(500, {"__type": "InternalFailureException", "message": "told to"})
                return
            hangs = chance < stream.trouble.failed + stream.trouble.timed_out
            results = stream.take(json.loads(body)["Records"]) if not hangs or number % 2 else []
            if hangs:
                time.sleep(stream.trouble.seconds)
                self.close_connection = True
                return
            failed = sum("ErrorCode" in result for result in results)
            self._answer(200, {"FailedRecordCount": failed, "Records": results})

        def _answer(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # A client that has lost its patience.
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stream.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
