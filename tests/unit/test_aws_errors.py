from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    ReadTimeoutError,
)

from penstock.adapters.aws_errors import of_code, translated
from penstock.model.errors import PermanentError, TransientError


def refused(code: str, status: int, message: str = "no") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item] # All that is read.
        "AnyCall",
    )


@pytest.mark.parametrize(
    "error",
    [
        refused("SlowDown", 503),
        refused("ThrottlingException", 400),
        refused("ActiveStatementsExceededException", 400),
        refused("ProvisionedThroughputExceededException", 400),
        refused("RequestTimeout", 400),
        refused("Whatever", 500),
        refused("TooMany", 429),
        ConnectTimeoutError(endpoint_url="https://s3"),
        ReadTimeoutError(endpoint_url="https://s3"),
        EndpointConnectionError(endpoint_url="https://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        FlexibleChecksumError(error_msg="the bytes were damaged on their way"),
        MetadataRetrievalError(error_msg="169.254.170.2 did not answer"),
        CredentialRetrievalError(provider="container-role", error_msg="169.254.170.2 did not answer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_transient(error: Exception) -> None:
    with pytest.raises(TransientError, match=r"copy s3://landing/a.*[Tt]ry again"), translated("copy s3://landing/a"):
        raise error


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (refused("AccessDenied", 403), "role"),
        (refused("NoSuchBucket", 404), "PENSTOCK_BUCKET"),
        (refused("ResourceNotFoundException", 400), "PENSTOCK_LEASE_TABLE"),
        (refused("SomethingNew", 400), "fails again"),
        (NoCredentialsError(), "configuration"),
    ],
)
def test_what_fails_again_is_permanent_and_says_what_to_do(error: Exception, hint: str) -> None:
    with pytest.raises(PermanentError, match=hint), translated("read s3://landing/a"):
        raise error


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), translated("divide"):
        raise ZeroDivisionError


def test_a_message_stays_on_one_line_and_short() -> None:
    text = str(of_code("Odd", "<html>\n" + "x" * 10_000, "read s3://landing/a\nforged line"))

    assert "\n" not in text
    assert len(text) < 800
