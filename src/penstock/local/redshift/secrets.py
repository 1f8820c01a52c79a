"""Whom a secret lets in: as Redshift, the stand-in reads it itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any


def user_of_secret(client: Any) -> Callable[[str], str]:
    """`client` is boto3's for `secretsmanager`. Each secret is read once."""

    @cache
    def user(arn: str) -> str:
        return str(json.loads(client.get_secret_value(SecretId=arn)["SecretString"])["username"])

    return user
