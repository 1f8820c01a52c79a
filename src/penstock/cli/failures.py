"""What went wrong, in a sentence that says what to do now."""

from __future__ import annotations

from typing import Any

from penstock.model.errors import PenstockError


def explained(error: Exception) -> str | None:
    """A sentence for what an operator can meet; None for what is a defect of Penstock's own, which shows its trace."""
    if isinstance(error, PenstockError):
        return str(error)
    match type(error).__module__.partition(".")[0], type(error).__name__:
        case "botocore", "NoCredentialsError" | "PartialCredentialsError" | "TokenRetrievalError" | "SSOTokenLoadError":
            return f"no AWS credentials that can be used: {error}. Run: aws sso login, or set AWS_PROFILE"
        case "botocore", "ProfileNotFound":
            return f"{error}. AWS_PROFILE has to name one of these: aws configure list-profiles"
        case "botocore", "EndpointConnectionError" | "ConnectTimeoutError" | "ConnectionClosedError":
            return f"{error}. Is the stack up? penstock up starts a local one"
        case "botocore", "ClientError":
            return _refused(error)
        case "psycopg", _:
            return _of_postgresql(error)
        case "opensearchpy", _:
            return f"the search index does not answer as it should: {error}"
        case "builtins", "FileNotFoundError" | "PermissionError" | "IsADirectoryError" | "NotADirectoryError":
            return f"{getattr(error, 'filename', None) or error}: {getattr(error, 'strerror', None) or error}"
    return None


def _refused(error: Any) -> str:
    details = error.response.get("Error", {})
    return f"{error.operation_name} was refused: {details.get('Code')}: {details.get('Message')}"


def _of_postgresql(error: Any) -> str:
    primary = error.diag.message_primary or str(error).strip()
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return f"PostgreSQL: {primary}{hint}"
