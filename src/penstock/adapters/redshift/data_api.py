"""The Redshift Data API: statements are submitted, asked after, and their rows fetched, all by HTTP and IAM."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from penstock.adapters.redshift.outage import OF_ONE_STATEMENT, asking, check, down, is_conflict, is_outage
from penstock.model.errors import WAREHOUSE, DestinationDownError, PenstockError, PermanentError, TransientError

_WAIT = 60.0
"""Seconds that a look-up may take. A load is never waited for."""

_APPLY = re.compile(r"(relation|schema|column) .*does not exist|permission denied", re.IGNORECASE)
_S3 = re.compile(r"S3ServiceException|not authorized|assume.?role", re.IGNORECASE)
"""COPY was let into no file at all, most likely."""

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_RUNNING = ("SUBMITTED", "PICKED", "STARTED")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where statements run: `workgroup` (Serverless, its name or ARN) or `cluster`. Who is there: the secret's user, or
    the cluster's `db_user`, or with neither the caller's own IAM identity.
    """

    database: str
    workgroup: str = ""
    cluster: str = ""
    db_user: str = ""
    secret_arn: str = ""

    def __post_init__(self) -> None:
        if bool(self.workgroup) == bool(self.cluster):
            raise PermanentError("name a Redshift Serverless workgroup or a provisioned cluster, and not both")
        if self.db_user and (self.secret_arn or self.workgroup):
            raise PermanentError(
                "a database user is named for a provisioned Redshift cluster, and without a secret's ARN"
            )

    def parameters(self) -> dict[str, str]:
        named = {
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "ClusterIdentifier": self.cluster,
            "DbUser": self.db_user,
            "SecretArn": self.secret_arn,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Statement:
    """What DescribeStatement says. `failed` is the place of the one that failed in its batch, from 0."""

    id: str
    status: str
    error: str = ""
    failed: int | None = None

    @property
    def running(self) -> bool:
        return self.status in _RUNNING

    @property
    def broken_off(self) -> bool:
        """It says nothing against what it was to do: the warehouse went away, or somebody has cancelled it."""
        return is_outage(self.status, self.error)

    @property
    def undone(self) -> bool:
        """Another transaction came first, and what it was to do can be done after that."""
        return self.status == "FAILED" and is_conflict(self.error)

    def words(self) -> str:
        """Its error without what it quotes: a value of a row, it may be."""
        return _QUOTED.sub("…", " ".join(self.error.split()))[:500] or self.status

    def to_raise(self, doing: str, dataset: str = "") -> PenstockError:
        """What stands against every file of `dataset` is the warehouse down for it, and counts no attempts."""
        words = f"Redshift could not {doing}: {self.words()}"
        if self.broken_off:
            return down(words)
        if self.undone:
            return TransientError(f"{words}. Another transaction came in between, and nothing was kept. Try again")
        if _APPLY.search(self.error):
            advice = f"{words}. Run `penstock apply` as the owner: it creates what is missing and grants what is needed"
            return DestinationDownError(WAREHOUSE, advice, dataset) if dataset else PermanentError(advice)
        if _S3.search(self.error) and dataset:
            advice = "Look whether PENSTOCK_REDSHIFT_COPY_ROLE may read plans/copies/ of the landing bucket"
            return DestinationDownError(WAREHOUSE, f"{words}. {advice}", dataset)
        return PermanentError(words)


class DataApi:
    """`client` is boto3's for `redshift-data`."""

    def __init__(self, client: Any, endpoint: Endpoint) -> None:
        self._client = client
        self._endpoint = endpoint

    def submit(self, statements: Sequence[str], token: str, doing: str) -> str:
        """The id under which they run, as one transaction. The same token gives the same id while the API knows it.

        One that has failed already is of an earlier try, which the token outlived: it is submitted once more.
        """
        check(statements, doing)
        found = self._submit(statements, token, doing)
        if self.describe(found, doing).status in ("FAILED", "ABORTED"):
            return self._submit(statements, str(uuid4()), doing)
        return found

    def _submit(self, statements: Sequence[str], token: str, doing: str) -> str:
        with asking(f"submit to Redshift: {doing}"):
            found = self._client.batch_execute_statement(
                Sqls=list(statements), ClientToken=token, **self._endpoint.parameters()
            )
        statement: str = found["Id"]
        return statement

    def describe(self, statement: str, doing: str, wait: int = 0) -> Statement:
        """`wait` is in seconds: the answer comes when the statement ends, or then."""
        waiting = {"WaitTimeSeconds": wait} if wait else {}
        with asking(f"ask after Redshift statement {statement}, which is to {doing}", OF_ONE_STATEMENT):
            found = self._client.describe_statement(Id=statement, **waiting)
        parts = found.get("SubStatements", [])
        failed = next((place for place, part in enumerate(parts) if part["Status"] in ("FAILED", "ABORTED")), None)
        error = found.get("Error", "")
        if failed is not None:
            error = parts[failed].get("Error", "") or error
        return Statement(statement, found["Status"], error, failed)

    def run(self, statements: Sequence[str], doing: str, seconds: float = _WAIT) -> Statement:
        """As one transaction, to its end; for what takes seconds. TransientError when it takes longer, undone."""
        check(statements, doing)
        return self._wait(self._submit(statements, str(uuid4()), doing), doing, seconds)

    def execute(self, statement: str, doing: str, seconds: float = _WAIT) -> Statement:
        """One statement, to its end."""
        check([statement], doing)
        with asking(f"submit to Redshift: {doing}"):
            found = self._client.execute_statement(Sql=statement, **self._endpoint.parameters())
        return self._wait(found["Id"], doing, seconds)

    def query(self, statement: str, doing: str, dataset: str = "", seconds: float = _WAIT) -> Iterator[tuple[Any, ...]]:
        """The rows of one SELECT, a page at a time. `dataset` is whose tables it reads."""
        yield from self.table(statement, doing, dataset, seconds)[1]

    def table(
        self, statement: str, doing: str, dataset: str = "", seconds: float = _WAIT
    ) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """As `query`, with the names of the columns."""
        ended = self.execute(statement, doing, seconds)
        if ended.status != "FINISHED":
            raise ended.to_raise(doing, dataset)
        first = self._page(ended, doing)

        def rows() -> Iterator[tuple[Any, ...]]:
            page = first
            while True:
                for record in page["Records"]:
                    yield tuple(None if field.get("isNull") else next(iter(field.values())) for field in record)
                if not page.get("NextToken"):
                    return
                page = self._page(ended, doing, NextToken=page["NextToken"])

        return [column["name"] for column in first["ColumnMetadata"]], rows()

    def _page(self, ended: Statement, doing: str, **more: str) -> Any:
        with asking(f"fetch from Redshift what is needed to {doing}", OF_ONE_STATEMENT):
            return self._client.get_statement_result(Id=ended.id, **more)

    def _wait(self, statement: str, doing: str, seconds: float = _WAIT) -> Statement:
        until = time.monotonic() + seconds
        while (found := self.describe(statement, doing, wait=10)).running:
            if time.monotonic() > until:
                with asking(f"cancel Redshift statement {statement}", OF_ONE_STATEMENT):
                    self._client.cancel_statement(Id=statement)
                if found.status != "STARTED":
                    raise down(f"it did not begin to {doing} within {seconds:.0f} s: it has no place for a statement")
                raise TransientError(
                    f"Redshift could not {doing} within {seconds:.0f} s: a load may hold what it waits for. Try again"
                )
        return found
