"""The Data API's HTTP: AWS JSON 1.1, as boto3's `redshift-data` speaks it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ClientError

from penstock.adapters.aws_errors import code_of
from penstock.local.redshift.statements import Part, Statement, Statements

MAX_STATEMENTS = 40
MAX_BYTES = 100_000
"""Of one statement."""

_PAGE = 1000
"""Rows of one answer; Redshift's are by bytes."""


PAUSED = ("ResourceNotFoundException", "The cluster is paused.")
"""What PUT /paused refuses with, unless it is told another code and message; Redshift's own are not documented."""


class RefusedError(Exception):
    """An error of the API's own; `code` is its name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DataApi:
    """Each method is a call of the API: from its request to its answer."""

    def __init__(self, statements: Statements, user_of_secret: Callable[[str], str]) -> None:
        self._statements = statements
        self._user_of_secret = user_of_secret
        self._refused: tuple[str, str] | None = None

    def pause(self, code: str, message: str) -> None:
        """Takes no statement until `resume`, and ends what runs; what has ended can be asked after as before."""
        self._refused = (code, message)
        self._statements.abort()

    def resume(self) -> None:
        self._refused = None

    def ExecuteStatement(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        return self._submit(request, [request["Sql"]], batch=False)

    def BatchExecuteStatement(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        if len(request["Sqls"]) > MAX_STATEMENTS:
            raise RefusedError("ValidationException", f"Sqls: at most {MAX_STATEMENTS} statements")
        return self._submit(request, request["Sqls"], batch=True)

    def DescribeStatement(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        statement = self._get(request)
        statement.ended.wait(request.get("WaitTimeSeconds", 0))
        answer: dict[str, Any] = {
            "Id": statement.id,
            "Status": statement.status,
            "CreatedAt": statement.created,
            "HasResultSet": any(part.rows is not None for part in statement.parts),
        }
        if statement.error:
            answer["Error"] = statement.error
        if statement.batch:
            answer["SubStatements"] = [_part(statement, place, part) for place, part in enumerate(statement.parts)]
        return answer

    def GetStatementResult(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        statement = self._get(request)
        number = int(request["Id"].partition(":")[2] or 1) - 1
        part = statement.parts[number]
        if statement.status != "FINISHED" or part.rows is None:
            raise RefusedError("ResourceNotFoundException", "Query does not have result. Please check query status.")
        start = int(request.get("NextToken") or 0)
        more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(part.rows) else {}
        return {
            "Records": [[_field(value) for value in row] for row in part.rows[start : start + _PAGE]],
            "ColumnMetadata": [{"name": name} for name in part.columns],
            "TotalNumRows": len(part.rows),
            **more,
        }

    def CancelStatement(self, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        if not self._statements.cancel(self._get(request)):
            raise RefusedError("ValidationException", "Could not cancel a query that is already in a terminal state.")
        return {"Status": True}

    def _submit(self, request: dict[str, Any], texts: list[str], *, batch: bool) -> dict[str, Any]:
        if self._refused:
            raise RefusedError(*self._refused)
        if bool(request.get("WorkgroupName")) == bool(request.get("ClusterIdentifier")):
            raise RefusedError("ValidationException", "Specify one of WorkgroupName and ClusterIdentifier")
        if any(len(text.encode()) > MAX_BYTES for text in texts):
            raise RefusedError("ValidationException", f"A statement is longer than {MAX_BYTES} bytes")
        token = request.get("ClientToken") or str(uuid.uuid4())
        secret = request.get("SecretArn", "")
        user = self._user_of_secret(secret) if secret else request.get("DbUser", "")
        statement = self._statements.submit(texts, token, user, batch=batch)
        return {"Id": statement.id, "CreatedAt": statement.created, "Database": request.get("Database", "")}

    def _get(self, request: dict[str, Any]) -> Statement:
        try:
            return self._statements.get(request["Id"])
        except KeyError:
            raise RefusedError("ResourceNotFoundException", f"Query {request['Id']} does not exist.") from None


def _part(statement: Statement, place: int, part: Part) -> dict[str, Any]:
    found = {"Id": f"{statement.id}:{place + 1}", "Status": part.status, "HasResultSet": part.rows is not None}
    return {**found, "Error": part.error} if part.error else found


def _field(value: Any) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, Decimal | date | datetime):
        return {"stringValue": str(value)}
    return {"stringValue": value if isinstance(value, str) else json.dumps(value)}


class DataApiServer:
    """On 127.0.0.1; port 0 takes any that is free. `user_of_secret` gives a secret's `username`, by its ARN."""

    def __init__(
        self, statements: Statements, port: int = 0, user_of_secret: Callable[[str], str] = lambda _: ""
    ) -> None:
        self.api = api = DataApi(statements, user_of_secret)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # An answer's head and body leave together.

            def do_GET(self) -> None:
                """Whether it is there."""
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                name = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                status, answer = _answered(api, name, request)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self) -> None:
                """`/paused`, with the error that statements are refused with then, as `{"code", "message"}`."""
                asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                api.pause(asked.get("code", PAUSED[0]), asked.get("message", PAUSED[1]))
                self.do_GET()

            def do_DELETE(self) -> None:
                """`/paused`: it is resumed."""
                api.resume()
                self.do_GET()

            def log_message(self, format: str, *args: Any) -> None:
                """Statements carry keys of the users' files: nothing is logged."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The endpoint, while a thread of this process serves it."""
        thread = threading.Thread(target=self.serve, name="redshift-data", daemon=True)
        thread.start()
        try:
            yield self.endpoint
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _answered(api: DataApi, name: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    call = getattr(api, name, None) if name[:1].isupper() else None
    if call is None:
        return 400, {"__type": "UnknownOperationException", "message": f"the stand-in has no {name}"}
    try:
        return 200, call(request)
    except RefusedError as refused:
        return 400, {"__type": refused.code, "message": str(refused)}
    except ClientError as refused:  # Of the secret.
        return 400, {"__type": code_of(refused), "message": str(refused)}
