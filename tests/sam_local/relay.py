"""Carries a container's loopback to this machine's, over Unix sockets that both see.

So a function in a container finds the engines at 127.0.0.1, where they listen and nowhere else. The same program runs
on both sides, in the container by whatever Python is there: it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from threading import Thread


def listen(inside: bool, path: Path, port: int) -> socket.socket:
    """In the container at the engine's port, outside at `path`."""
    if inside:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(128)
    return listening


def connect(inside: bool, path: Path, port: int) -> socket.socket:
    """The other way on: in the container to `path`, outside to the engine."""
    if not inside:
        return socket.create_connection(("127.0.0.1", port))
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(path))
    return connected


def serve(inside: bool, path: Path, port: int, listening: socket.socket) -> None:
    def carry(here: socket.socket) -> None:
        with here, contextlib.suppress(OSError), connect(inside, path, port) as there:
            back = Thread(target=_copy, args=(there, here), daemon=True)
            back.start()
            _copy(here, there)
            back.join()

    while True:
        Thread(target=carry, args=(listening.accept()[0],), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # One side is gone; the other hears of it as of an end.
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def main(side: str, folder: str, *ports: str) -> None:
    inside = side == "inside"
    relays = [(Path(folder, f"host-{port}"), int(port)) for port in ports]
    listening = [listen(inside, path, port) for path, port in relays]
    if inside and os.fork():
        return  # The ports are open: the runtime may start.
    if not inside:
        print("listening", flush=True)  # noqa: T201 - whoever started it waits for this line
    for relay, at in zip(relays, listening, strict=True):
        Thread(target=serve, args=(inside, *relay, at)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
