"""Lambda's Runtime API for one worker: AWS's own `awslambdaric` runs a handler as it does on Lambda, and reports to it.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reported:
    """What the worker sent back: `error_type` is the name that Step Functions sees, empty for an answer."""

    error_type: str
    body: Any


@dataclass
class Worker:
    """A handler in a process of its own."""

    pid: int = 0
    _events: queue.Queue[Any] = field(default_factory=queue.Queue)
    _ready: threading.Event = field(default_factory=threading.Event)
    _restored: threading.Event = field(default_factory=threading.Event)
    _reports: queue.Queue[Reported] = field(default_factory=queue.Queue)

    def invoke(self, event: Mapping[str, Any]) -> Reported:
        self._events.put(event)
        return self.reported()

    def reported(self) -> Reported:
        return self._reports.get(timeout=30)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """While Lambda would take one, where AWS_LAMBDA_INITIALIZATION_TYPE is snap-start; it goes on as a copy."""
        assert self._ready.wait(30), "it is not ready for its snapshot"
        yield
        self._restored.set()


@contextmanager
def worker(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """Runs `app.handler` of the folder; the worker is ended by its pid."""
    made = Worker()
    server = _server(made)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    child = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", "app.handler"],
        cwd=folder,
        env={
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "penstock-Function",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "LAMBDA_TASK_ROOT": str(folder),
            "AWS_DEFAULT_REGION": "us-east-1",
            **(environment or {}),
        },
        stdout=subprocess.DEVNULL,
    )
    made.pid = child.pid
    try:
        yield made
    finally:
        made._restored.set()
        child.kill()
        child.wait()
        server.shutdown()
        thread.join()
        server.server_close()


def _server(worker: Worker) -> http.server.ThreadingHTTPServer:
    class RuntimeApi(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.endswith("/restore/next"):
                worker._ready.set()
                worker._restored.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            event = json.dumps(worker._events.get()).encode()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000))
            self.send_header(
                "Lambda-Runtime-Invoked-Function-Arn",
                "arn:aws:lambda:us-east-1:123456789012:function:penstock-Function",
            )
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(event)))
            self.end_headers()
            self.wfile.write(event)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            failed = self.path.endswith("/error")
            worker._reports.put(Reported(body["errorType"] if failed else "", body))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
    server.daemon_threads = True
    return server
