"""How a role gets into PostgreSQL: with its secret's password, or with a token that IAM vouches for.

Both are asked for each connection: a secret may have been rotated, and a token is good for 15 minutes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo

from penstock.adapters.postgres.tls import tls_of
from penstock.model.errors import WAREHOUSE, DestinationDownError

_CONNECT_SECONDS = 10


def by_secret(secrets: Any, arn: str, datasets: Path) -> str:
    """A connection string of libpq's; `secrets` is a client of Secrets Manager, `datasets` where CA_FILE may lie.

    Raises DestinationDownError without the secret: nobody gets into the warehouse, which is no file's fault.
    """
    try:
        secret = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
        return make_conninfo(
            host=secret["host"],
            port=secret.get("port", 5432),
            dbname=secret["dbname"],
            user=secret["username"],
            password=secret["password"],
            connect_timeout=_CONNECT_SECONDS,
            **tls_of(secret, datasets),
        )
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        raise no_way_in(
            f"its secret {arn} can't be read: {code}. See that the secret is there (the stack's WarehouseSecretArn), "
            "and that the functions' role and the secret's key and policy allow secretsmanager:GetSecretValue"
        ) from None
    except BotoCoreError as lost:
        raise no_way_in(
            f"Secrets Manager can't be reached for its secret {arn}: {type(lost).__name__}. See that the functions' "
            "subnets have a way to it: a NAT, or a VPC endpoint"
        ) from None
    except (KeyError, ValueError, TypeError, AttributeError, ProgrammingError):
        # `from None`, and no text of the error: it may quote the secret.
        raise no_way_in(
            f"its secret {arn} is not JSON with host, port, dbname, username and password, and perhaps sslmode and "
            "sslrootcert (PEM, or a file in the functions). Put a value of that shape"
        ) from None


def by_iam(rds: Any, host: str, dbname: str, user: str, datasets: Path, port: int = 5432) -> str:
    """As `by_secret`, with no password that is kept anywhere. `rds` is a client of RDS, which is not called for it.

    Raises DestinationDownError where the process has no credentials of AWS to sign with.
    """
    try:
        token = rds.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except BotoCoreError as lacking:
        raise no_way_in(f"no token could be signed for {user}: {type(lacking).__name__}") from None
    return make_conninfo(
        host=host,
        port=port,
        dbname=dbname,
        user=user,
        password=token,
        connect_timeout=_CONNECT_SECONDS,
        **tls_of({}, datasets),
    )


def no_way_in(reason: str) -> DestinationDownError:
    return DestinationDownError(WAREHOUSE, reason)
