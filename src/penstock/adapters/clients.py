"""boto3 clients, one of each service for the life of a process."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

MAX_CONNECTIONS = 32
"""More than the threads that any adapter starts at once, so that none waits for a connection or throws one away."""


@cache
def client(service: str) -> Any:
    """The client of `service`, as `s3`; region, credentials and endpoint are the environment's.

    Standard retries back off with jitter and share a budget, so that a service that is down isn't hammered. The SDK's
    own timeouts (60 s to connect) would eat a Lambda's whole time; an answer may take longer than a connection, since
    S3 copies 5 GB in one call.
    """
    return boto3.client(service, config=client_config())  # type: ignore[call-overload] # Its name is not a literal.


def client_config() -> Config:
    return Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=3,
        read_timeout=60,
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
        user_agent_extra="penstock",
    )
