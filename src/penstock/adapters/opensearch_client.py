"""The OpenSearch client, and its exceptions as the two errors that the rest of Penstock knows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import orjson
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import (
    ConnectionError as OpenSearchConnectionError,
)
from opensearchpy.exceptions import ConnectionTimeout, OpenSearchException, SSLError, TransportError
from opensearchpy.serializer import JSONSerializer
from urllib3 import Timeout

from penstock.model.errors import SEARCH, DestinationDownError, PermanentError, TransientError

CONNECT_SECONDS = 3.0
READ_SECONDS = 60.0
"""A bulk request of 5 MiB takes a healthy node a second or two; one that takes a minute is sent again."""


_REFUSED = (401, 403)
_DOWN = (*_REFUSED, 429, 502, 503, 504)
"""Whoever asks, whatever for: nobody is let in, it has no room, it is not there. 500 may be the request's own doing."""
_TOO_LARGE = "circuit_breaking_exception"
"""A 429 that is about this request's size."""
_LOOK = "Look whether the cluster is up and green, and has room on its disks and in its queues"


class _Serializer(JSONSerializer):
    """Answers to bulk requests hold an entry per document: worth a fast parser."""

    def loads(self, s: str) -> Any:
        return orjson.loads(s)


def make_client(url: str, auth: Literal["aws", "none"], region: str = "") -> OpenSearch:
    """A client with short timeouts that repeats nothing by itself: `OpenSearchIndex` decides what is sent again.

    `auth="aws"` signs with the credentials that boto3 finds, for the service `aoss` where the URL is of a serverless
    collection and `es` elsewhere.
    """
    signer = None
    if auth == "aws":
        import boto3

        service = "aoss" if ".aoss." in url else "es"
        signer = Urllib3AWSV4SignerAuth(boto3.Session().get_credentials(), region, service)
    logging.getLogger("opensearch").setLevel(logging.ERROR)  # Below that it logs what we expect, and at last documents.
    return OpenSearch(
        hosts=[url],
        http_auth=signer,
        connection_class=Urllib3HttpConnection,
        serializer=_Serializer(),
        timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        max_retries=0,
        retry_on_status=(),
        pool_maxsize=8,
    )


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raises TransientError or PermanentError in place of the client's own exceptions. `doing` says what and where."""
    try:
        yield
    except SSLError as error:
        reason = f"{doing}: the index's certificate was refused. Look at PENSTOCK_SEARCH_URL"
        raise DestinationDownError(SEARCH, reason) from error
    except ConnectionTimeout as error:
        # It may be this request that takes it so long: whether it is down, another has to tell.
        raise TransientError(f"{doing}: the index did not answer in time ({type(error.info).__name__})") from error
    except OpenSearchConnectionError as error:
        reason = f"{doing}: the index did not answer ({type(error.info).__name__}). {_LOOK}"
        raise DestinationDownError(SEARCH, reason) from error
    except TransportError as error:
        status = error.status_code
        kind = error_kind(error)
        if (status in _DOWN and kind != _TOO_LARGE) or kind == "cluster_block_exception":
            reason = (
                f"{doing}: the index answered {status} ({kind}). {_advice(status) if status in _REFUSED else _LOOK}"
            )
            raise DestinationDownError(SEARCH, reason) from error
        if status == 429 or (isinstance(status, int) and status >= 500):
            raise TransientError(f"{doing}: the index answered {status} ({kind})") from error
        raise PermanentError(f"{doing}: the index answered {status} ({kind}). {_advice(status)}") from error
    except OpenSearchException as error:
        raise TransientError(f"{doing}: the index's answer can't be read ({type(error).__name__})") from error


def error_kind(error: TransportError) -> str:
    """OpenSearch's name for an error, as `index_not_found_exception`; its reason could hold a row's content."""
    info = error.info
    inner = info.get("error") if isinstance(info, dict) else None
    return str(inner.get("type")) if isinstance(inner, dict) else "no reason given"


def _advice(status: str | int) -> str:
    if status in (401, 403):
        return "Let the function's role write to it (the domain's access policy, and its role mapping)"
    if status == 404:
        return "Run `penstock apply`, which creates the index"
    return "The request is refused as it is: look at the index's own log"
