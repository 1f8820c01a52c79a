"""What COPY reads, from S3."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import MISSING_OBJECT, code_of
from penstock.local.redshift.copy_files import Objects


def s3_objects(client: Any) -> Objects:
    """`client` is boto3's for `s3`."""

    def get(bucket: str, key: str) -> bytes:
        try:
            return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if code_of(error) in MISSING_OBJECT:
                raise KeyError(key) from None
            raise

    return get
