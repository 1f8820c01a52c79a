"""AWS's errors become the two that a state machine knows; every adapter of AWS goes through here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as LostConnectionError

from penstock.model.errors import PenstockError, PermanentError, TransientError

MISSING_OBJECT = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound"})
"""S3's names for "there is no such object"; a HEAD answer has no body, so botocore names it by its status."""

_TRANSIENT = frozenset(
    {
        "ActiveSessionsExceededException",
        "ActiveStatementsExceededException",
        "ActiveWaitingRequestsExceededException",
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalServerError",
        "InternalServiceError",
        "InternalFailure",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

_MAX_MESSAGE = 500

_LOST = (
    HTTPClientError,
    LostConnectionError,
    ChecksumError,
    FlexibleChecksumError,
    IncompleteReadError,
    ResponseStreamingError,
    # The way to where a task asks for its role's credentials.
    CredentialRetrievalError,
    MetadataRetrievalError,
)
"""The connection, not the request, was at fault."""

_REFUSED = "The function's role lacks this permission: compare it with template.yaml, then deploy again."
_HINTS = {
    "AccessDenied": _REFUSED,
    "AccessDeniedException": _REFUSED,
    "NoSuchBucket": "PENSTOCK_BUCKET names no bucket of this account: deploy the stack again.",
    "ResourceNotFoundException": "The table is gone or PENSTOCK_LEASE_TABLE is wrong: deploy the stack again.",
    "StateMachineDoesNotExist": "The state machine is gone or its ARN is wrong: deploy the stack again.",
    "PipelineNotFoundException": "There is no such pipeline: set the stack's DataPipelineId, or drop the kick_off.",
    "PipelineDeletedException": "The pipeline was deleted: set the stack's DataPipelineId, or drop the kick_off.",
    "InvalidObjectState": "The object is archived: restore it in S3; the next listing plans it again.",
}


def code_of(error: ClientError) -> str:
    """AWS's own name for what went wrong, as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raises AWS's errors as TransientError or PermanentError; `doing` says what was tried and where: `copy s3://…`."""
    try:
        yield
    except ClientError as error:
        raise of_client_error(error, doing) from error
    except _LOST as error:
        raise TransientError(
            f"Could not {doing}: the connection failed ({type(error).__name__}). Try again."
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise PermanentError(f"Could not {doing}: {error} Mend the configuration, then start the run again.") from error


def of_client_error(error: ClientError, doing: str) -> PenstockError:
    """What a refused request is to a state machine: its status and code say whether it can ever succeed."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return of_code(code_of(error), str(error.response.get("Error", {}).get("Message", "")), doing, status)


def of_code(code: str, message: str, doing: str, status: int = 0) -> PenstockError:
    """The same for an error that AWS reports inside an answer of 200, as DeleteObjects does for each key."""
    # A proxy's page of HTML, or a key with a newline, stays on one line of the log.
    text = " ".join(f"Could not {doing}: {code}: {message.strip().rstrip('.')[:_MAX_MESSAGE]}.".split())
    if code in _TRANSIENT or status >= 500 or status == 429:
        return TransientError(f"{text} It may pass: try again.")
    return PermanentError(f"{text} {_HINTS.get(code, 'The same request fails again until that is mended.')}")
