"""Bulk requests: documents by bytes, every item's own status read, and sent again what the index put off."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.wait import WaitBaseT

from penstock.adapters.opensearch_client import translated
from penstock.adapters.opensearch_mapping import ADVICE
from penstock.model.documents import Document, rejected
from penstock.model.errors import SEARCH, DestinationDownError, PermanentError, TransientError
from penstock.model.outcomes import MAX_REJECTS, IndexOutcome, Reject

MAX_BYTES = 5 * 2**20
_DELETES = 2_000
"""Documents that one request deletes."""

_FIELD = re.compile(r"field \[([^\]]+)\]")
_TYPE = re.compile(r"failed to parse field \[[^\]]+\] of type \[([^\]]+)\]")
_QUOTING = re.compile(r" in document with id|\. Preview of|: ")
"""What the index quotes of the document stands behind one of these."""

_NO_DOCUMENTS_FAULT = {
    "index_closed_exception": PermanentError,
    "index_not_found_exception": PermanentError,
}
_DOWN = ("cluster_block_exception", "unavailable_shards_exception", "security_exception")
"""A full disk makes indices read-only; shards or a role are lost: whatever is sent is refused until they are back."""
_BUSY = (429, 503)
_NEWER_STANDS = "version_conflict_engine_exception"
"""The answer to a document, or to its deletion, where one of a greater version has its id: as it should be."""

_Action = tuple[Document, bytes]
"""A document and its two lines in a bulk request."""


@dataclass(slots=True)
class _Tally:
    documents: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)
    busy: bool = False
    """What was put off last was put off by an index that has no room, and not for what it was."""

    def reject(self, document: Document, reason: str) -> None:
        self.rejected += 1
        if len(self.rejects) < MAX_REJECTS:
            named = _FIELD.search(reason)
            self.rejects.append(rejected(document, _words(reason), named[1] if named else ""))

    def outcome(self) -> IndexOutcome:
        return IndexOutcome(documents=self.documents, rejects=tuple(self.rejects), rejected=self.rejected)


class Bulk:
    """A request has at most `max_bytes`, or a single document that is larger. Nothing sent twice does harm."""

    def __init__(
        self,
        client: OpenSearch,
        *,
        max_bytes: int = MAX_BYTES,
        attempts: int = 8,
        wait: WaitBaseT | None = None,
    ) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._attempts = attempts
        # Exponential with full jitter: up to 0.25 s, 0.5 s, … 15 s; half a minute in all, at most.
        self._wait = wait or wait_random_exponential(multiplier=0.25, max=15)

    def write(self, index: str, documents: Iterable[Document]) -> IndexOutcome:
        tally = _Tally()
        # The next request is built while the index works on this one; two of them are held, never more.
        with ThreadPoolExecutor(1) as sender:
            under_way: Future[None] | None = None
            for some in self._requests(documents):
                if under_way is not None:
                    under_way.result()
                under_way = sender.submit(self._send, index, some, tally)
            if under_way is not None:
                under_way.result()
        return tally.outcome()

    def delete(self, index: str, lines: Sequence[bytes]) -> None:
        """By the lines that name them in a request. One that is not there, or gave way to a newer one, is deleted."""
        for start in range(0, len(lines), _DELETES):
            self._send_some_deletes(index, lines[start : start + _DELETES])

    def _requests(self, documents: Iterable[Document]) -> Iterator[list[_Action]]:
        """The documents with their bulk lines, as many together as fit in a request."""
        some: list[_Action] = []
        size = 0
        for document in documents:
            if document.version:
                lines = b'{"index":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n%b\n' % (
                    orjson.dumps(document.id),
                    document.version,
                    document.source,
                )
            else:
                lines = b'{"index":{"_id":%b}}\n%b\n' % (orjson.dumps(document.id), document.source)
            if some and size + len(lines) > self._max_bytes:
                yield some
                some, size = [], 0
            some.append((document, lines))
            size += len(lines)
        if some:
            yield some

    def _retrying(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._attempts),
            wait=self._wait,
            reraise=True,
        )

    def _send(self, index: str, some: list[_Action], tally: _Tally) -> None:
        """Sends them until each is written or rejected. One sent twice does no harm: its id makes it one document."""
        left = some
        try:
            for attempt in self._retrying():
                with attempt:
                    left = self._send_once(index, left, tally)
                    if left:
                        reason = f"writing to index {index}: it is overloaded, {len(left)} were put off"
                        raise DestinationDownError(SEARCH, reason) if tally.busy else TransientError(reason)
        except _TooLargeError:
            if len(left) == 1:
                tally.reject(left[0][0], "the document is larger than a request to the index may be")
                return
            half = len(left) // 2
            self._send(index, left[:half], tally)
            self._send(index, left[half:], tally)

    def _send_once(self, index: str, some: list[_Action], tally: _Tally) -> list[_Action]:
        """One request; what of it must be sent again. Nothing is counted unless all its items could be judged."""
        written = 0
        refused: list[tuple[Document, str]] = []
        again: list[_Action] = []
        tally.busy = True
        for one, item in zip(some, self._sent(index, b"".join([lines for _, lines in some])), strict=True):
            (answer,) = item.values()
            status = answer["status"]
            if status < 300 or _newer_stands(answer):
                written += 1  # As it is counted where the newer one comes after it.
            elif status == 429 or status >= 500:
                again.append(one)
                tally.busy = tally.busy and status in _BUSY
            else:
                refused.append((one[0], _reason(index, answer["error"])))
        tally.documents += written
        for document, reason in refused:
            tally.reject(document, reason)
        return again

    def _send_some_deletes(self, index: str, left: Sequence[bytes]) -> None:
        for attempt in self._retrying():
            with attempt:
                items = self._sent(index, b"".join(left))
                answers = [next(iter(item.values())) for item in items]
                for answer in answers:
                    gone = answer["status"] == 404 or _newer_stands(answer)
                    if 400 <= answer["status"] < 500 and answer["status"] != 429 and not gone:
                        raise PermanentError(f"deleting from index {index}: {_reason(index, answer['error'])}")
                left = [
                    line
                    for line, answer in zip(left, answers, strict=True)
                    if answer["status"] == 429 or answer["status"] >= 500
                ]
                if left:
                    reason = f"deleting from index {index}: it is overloaded, {len(left)} were put off"
                    raise DestinationDownError(SEARCH, reason)

    def _sent(self, index: str, body: bytes) -> Sequence[Mapping[str, Any]]:
        """The items of one request, in its order, each `{"index": {"status": …, "error": …}}`."""
        with translated(f"writing to index {index}"):
            try:
                answer = self._client.bulk(
                    body=body, index=index, params={"filter_path": "items.*.status,items.*.error"}
                )
            except TransportError as error:
                if error.status_code == 413:
                    raise _TooLargeError(f"writing to index {index}: it takes no request of this size") from error
                raise
        return answer["items"]  # type: ignore[no-any-return] # The client has Any.


class _TooLargeError(PermanentError):
    """The index, or a proxy before it, takes no request of this size."""


def _newer_stands(answer: Mapping[str, Any]) -> bool:
    return bool(answer["status"] == 409 and answer["error"].get("type") == _NEWER_STANDS)


def _words(reason: str) -> str:
    """Without what it quotes: a file's reason goes into states, mails and logs, and names that of its first reject."""
    if found := _TYPE.search(reason):
        told = "value is out of range" if "out of range" in reason else "invalid value"
        return f"{told} for a field of type {found[1]}{ADVICE.get(found[1], '')}"
    return _QUOTING.split(reason, maxsplit=1)[0]


def _reason(index: str, error: Mapping[str, Any]) -> str:
    """The index's reason for refusing a document. Raises where it is not the document that is at fault."""
    kind = str(error.get("type"))
    if (fault := _NO_DOCUMENTS_FAULT.get(kind)) is not None:
        raise fault(f"writing to index {index}: it refuses every document ({kind}). Look at the index, not at the file")
    if kind in _DOWN:
        raise DestinationDownError(SEARCH, f"writing to index {index}: it refuses every document ({kind})")
    reason = str(error.get("reason") or kind)
    cause = error.get("caused_by")
    if isinstance(cause, dict) and cause.get("reason"):
        reason = f"{reason}: {cause['reason']}"
    return reason
