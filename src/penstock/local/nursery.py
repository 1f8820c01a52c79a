"""Where Lambda workers are forked from, with the libraries that all of them import imported already.

The nursery knows libraries alone, and nothing of Penstock's own code but how to serve, so a deployment's new code is
what the next worker imports. It listens on a socket that only its user may open, since whoever can ask it has a program
run.

Started by the supervisor as `python -I -S nursery.py FOLDER PATH…`; asked by `lambda_worker.py`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from typing import Any

SOCKET = "nursery.sock"

_LIBRARIES = (
    "awslambdaric.bootstrap",
    "awslambdaric.lambda_runtime_client",
    "boto3.session",
    "botocore.httpsession",
    "botocore.signers",
    "botocore.retries.standard",
    "s3transfer.manager",
    "aws_lambda_powertools",
    "aws_lambda_powertools.metrics",
    "pydantic",
    "yaml",
    "orjson",
    "psycopg",
    "opensearchpy",
    "zoneinfo",
    "tenacity",
    "http.client",
)
_SERVICES = {
    "s3": "service-2",
    "dynamodb": "service-2",
    "stepfunctions": "service-2",
    "secretsmanager": "service-2",
}


def main(folder: str, paths: list[str]) -> None:
    os.chdir(folder)  # A socket's name may have 107 bytes; relative to its folder it always fits.
    os.umask(0o077)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(SOCKET)
        listener.listen(64)  # Who asks too early waits here for the imports.
        sys.path[:0] = paths
        _import()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for a worker but its client.
        while True:
            client, _ = listener.accept()
            with client:
                message, descriptors, _, _ = socket.recv_fds(client, 1 << 20, 2)
                if message and os.fork() == 0:
                    listener.close()
                    _become(client, json.loads(message), descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)


def _import() -> None:
    for library in _LIBRARIES:
        with contextlib.suppress(ImportError):  # It is then missed by who needs it, who can say so.
            importlib.import_module(library)
    with contextlib.suppress(Exception):
        import boto3

        # The models of the services, parsed once: half of what a first client costs.
        made = boto3.Session()
        loader = made._session.get_component("data_loader")  # noqa: SLF001 - it has no public name
        boto3.DEFAULT_SESSION = made  # It asks for credentials when a client is made: in the worker, for its own.
        for service, kind in _SERVICES.items():
            loader.load_service_model(service, kind)
        for kind in ("endpoints", "partitions", "sdk-default-configuration"):
            loader.load_data(kind)


def _become(client: socket.socket, wanted: dict[str, Any], descriptors: list[int]) -> None:
    """In the forked child: a worker with the client's environment, output and folder. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor, number in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    os.umask(0o022)
    os.chdir(wanted["folder"])
    random.seed()  # Or every worker draws the same jitter.
    threading.Thread(target=_end_with, args=(client,), daemon=True).start()
    status = 1
    try:
        from penstock.local.lambda_worker import serve

        serve([path for path in wanted["paths"] if path not in sys.path])
        status = 0
    finally:
        os._exit(status)


def _end_with(client: socket.socket) -> None:
    """The client is MiniStack's child: when it is killed its socket closes, and the worker ends at once."""
    client.recv(1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
