"""moto's interpreter of the States Language as a server: `python -m tests.workflow.live_engine <port>`.

For machines whose tasks are answered by real functions, where Step Functions Local isn't there. What a task calls is
where the environment says, by AWS_ENDPOINT_URL_LAMBDA and AWS_ENDPOINT_URL. WAIT_TIME_SCALE shrinks the pauses between
retries, MOTO_ACCOUNT_ID is the machines' account. Nothing of the language is touched.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from threading import Lock
from types import SimpleNamespace
from typing import Any

import boto3
from moto.core.config import default_user_config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.utils import boto_client

_SCALE = float(os.environ.get("WAIT_TIME_SCALE", "1"))

_making = Lock()
_clients: dict[str, Any] = {}


def _client(*, service_name: str, region_name: str, config: Any, **_: Any) -> Any:
    """One of each service, as two threads must not make one at once. moto's own asks for moto's own services."""
    with _making:
        if service_name not in _clients:
            make: Any = boto3.client  # Its overloads want a literal name.
            _clients[service_name] = make(service_name, region_name=region_name, config=config)
        return _clients[service_name]


def main(port: int) -> None:
    replaced: list[tuple[Any, str, Any]] = [
        (boto_client, "boto3", SimpleNamespace(client=_client)),
        (retrier_decl, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * _SCALE))),
    ]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    ThreadedMotoServer("127.0.0.1", port, verbose=False).start()
    signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
