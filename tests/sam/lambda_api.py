"""Emulated functions, each of which starts when it is first called, and Lambda's own Invoke for whoever calls them."""

from __future__ import annotations

import http.server
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.sam.answers import Invoke
from tests.sam.emulator import Emulated, emulated
from tests.sam.runtime import runtime
from tests.sam.world import World


@dataclass(frozen=True)
class EmulatedFunctions:
    """By their logical ids; each answers one call at a time. `more` are variables beside the template's."""

    world: World
    built: Path
    lambdas_own: Path
    more: Mapping[str, str]
    running: ExitStack
    started: dict[str, Emulated] = field(default_factory=dict)
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _turns: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """The answer; of an error `{"errorType", "errorMessage", …}`."""
        with self._starting:
            if name not in self.started:
                self.started[name] = self.running.enter_context(self._emulated(name))
            turn = self._turns[name]
        with turn:
            return self.started[name].invoke(event)

    def _emulated(self, name: str) -> Any:
        return emulated(
            [self.built / name, self.built / "PenstockLayer" / "python", self.lambdas_own],
            {**self.world.environment(name, str(self.built / "DatasetsLayer" / "datasets")), **self.more},
            self.world.memory(name),
            self.world.timeout(name),
        )


@contextmanager
def emulated_functions(
    world: World, built: Path, folder: Path, more: Mapping[str, str] | None = None
) -> Iterator[EmulatedFunctions]:
    """`built` is what `sam build` made, `folder` an empty one."""
    with ExitStack() as running:
        yield EmulatedFunctions(world, built, runtime(folder), more or {}, running)


@contextmanager
def lambda_api(invoke: Invoke, port: int = 0) -> Iterator[str]:
    """Where it listens. A function is called by its name, or by an ARN that ends in it."""

    class Api(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            name = unquote(self.path.split("/")[3]).rpartition(":")[2]
            answer = invoke(name, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps(answer).encode()
            self.send_response(200)
            if "errorType" in answer:
                self.send_header("X-Amz-Function-Error", "Unhandled")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Api)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
