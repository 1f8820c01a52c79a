"""Errors in OpenSearch's own shape."""

from __future__ import annotations

from typing import Any


class SearchError(Exception):
    """What a call answers with: an HTTP status, OpenSearch's name for the error and its reason."""

    def __init__(self, status: int, kind: str, reason: str, cause: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind
        self.reason = reason
        self.cause = cause

    def error(self) -> dict[str, Any]:
        """The error as an item of a bulk answer holds it."""
        found: dict[str, Any] = {"type": self.kind, "reason": self.reason}
        if self.cause:
            found["caused_by"] = {"type": "illegal_argument_exception", "reason": self.cause}
        return found

    def body(self) -> dict[str, Any]:
        """The whole answer of a call that failed."""
        root = {"type": self.kind, "reason": self.reason}
        return {"error": {"root_cause": [root], **self.error()}, "status": self.status}


def no_such_index(name: str) -> SearchError:
    return SearchError(404, "index_not_found_exception", f"no such index [{name}]")
