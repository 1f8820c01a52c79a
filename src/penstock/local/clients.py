"""boto3 clients of a stack on this laptop; nothing of the user's AWS configuration reaches them."""

from __future__ import annotations

import os
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from penstock.local.engines import REGION


def session() -> boto3.Session:
    """Not even a profile that AWS_PROFILE names and that does not exist gets in the way."""
    unset = (None, None, None, None)
    core = botocore.session.Session(
        session_vars={  # type: ignore[arg-type, unused-ignore] # Not all stubs know it.
            "profile": unset,
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    # "test" is MiniStack's root: it may do all. Functions have their own roles.
    return boto3.Session(
        botocore_session=core,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - a password for nothing
    )


def client(of: boto3.Session, service: str, endpoint: str) -> Any:
    config = Config(
        proxies={},
        retries={"mode": "standard", "max_attempts": 3},
        connect_timeout=3,
        read_timeout=60,
        max_pool_connections=32,
        s3={"addressing_style": "path"},
    )
    return of.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload] # Not a literal name.
