"""The embedded search index over real HTTP, and faults in front of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import orjson
import uvicorn

from penstock.local.search.app import search_app
from penstock.local.search.store import Store

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[MutableMapping[str, Any]], Any]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app's URL. Connections wait in the socket's queue until the server has started, so nobody polls for it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    # With its protocol named: asyncio sets TCP_NODELAY on no other, and then each answer waits 40 ms for an ACK.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def embedded_search() -> Iterator[tuple[str, Faults]]:
    """A fresh engine in memory: its URL, and what makes it fail."""
    store = Store(":memory:")
    faults = Faults(search_app(store))
    with serving(faults) as url:
        yield url, faults
    store.close()


class Faults:
    """What an overloaded node does to bulk requests; everything else goes through.

    `plan` is taken from the front, a fault a request: None lets it through; a status answers the whole request so; a
    function of an id says which items are put off with a 429, and the others are worked.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.plan: list[int | Callable[[str], bool] | None] = []
        self.requests: list[list[str]] = []
        """The ids in each bulk request that arrived."""
        self.sizes: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not str(scope.get("path", "")).endswith("/_bulk"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        pairs = _pairs(body)
        self.requests.append([id_ for id_, _ in pairs])
        self.sizes.append(len(body))
        fault = self.plan.pop(0) if self.plan else None
        if isinstance(fault, int):
            await _answer(send, fault, {"error": {"type": "rejected_execution_exception"}, "status": fault})
        elif fault is None:
            await self._app(scope, _replayed(body), send)
        else:
            rest = b"".join(lines for id_, lines in pairs if not fault(id_))
            done = iter(orjson.loads(await self._worked(scope, rest))["items"]) if rest else iter(())
            items = [_put_off() if fault(id_) else next(done) for id_, _ in pairs]
            await _answer(send, 200, {"errors": True, "items": items})

    async def _worked(self, scope: Scope, body: bytes) -> bytes:
        parts: list[bytes] = []

        async def collect(message: MutableMapping[str, Any]) -> None:
            parts.append(message.get("body", b""))

        await self._app(scope, _replayed(body), collect)
        return b"".join(parts)


def _put_off() -> dict[str, Any]:
    error = {"type": "rejected_execution_exception", "reason": "rejected execution of primary operation"}
    return {"index": {"status": 429, "error": error}}


def _pairs(body: bytes) -> list[tuple[str, bytes]]:
    lines = iter(body.split(b"\n"))
    found = []
    for line in lines:
        if line:
            ((action, about),) = orjson.loads(line).items()
            text = line + b"\n" if action == "delete" else line + b"\n" + next(lines) + b"\n"
            found.append((about["_id"], text))
    return found


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, status: int, answer: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(answer)})
