"""Serves the stand-in for the Redshift Data API until it is told to stop; its S3 is that of AWS_ENDPOINT_URL."""

from __future__ import annotations

import argparse

from penstock.adapters.clients import client
from penstock.local.redshift.s3_objects import s3_objects
from penstock.local.redshift.secrets import user_of_secret
from penstock.local.redshift.server import DataApiServer
from penstock.local.redshift.statements import Statements, prepare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m penstock.local.redshift", description=__doc__)
    parser.add_argument("--postgres", required=True, help="the connection string of a superuser")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    statements = Statements(prepare(options.postgres), s3_objects(client("s3")))
    DataApiServer(statements, options.port, user_of_secret(client("secretsmanager"))).serve()


if __name__ == "__main__":
    main()
