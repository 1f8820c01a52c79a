"""Each state machine acts under its own role, as on AWS. MiniStack, as it comes, runs their tasks with every right.

MiniStack's own evaluator of policies is asked before a task calls out, and before a Distributed Map reads its items or
starts its children. What is refused fails by the error that AWS names, so the definition's Retry and Catch see it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_role: ContextVar[str] = ContextVar("the role of the state machine at work", default="")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A permission that a task wants, and the error of its absence. `context` is for the conditions of policies."""

    action: str
    resource: str
    error: str
    context: tuple[tuple[str, str], ...] = ()


def wanted_by(resource: str, given: Any) -> Wanted | None:
    """None for another one, as a task of ECS, which the laptop does not run: it is not looked at."""
    if resource.startswith("arn:aws:states:::lambda:invoke"):
        return Wanted("lambda:InvokeFunction", given["FunctionName"], "Lambda.AWSLambdaException")
    if resource.startswith("arn:aws:states:::sns:publish"):
        return Wanted("sns:Publish", given["TopicArn"], "SNS.AuthorizationErrorException")
    if resource == "arn:aws:states:::aws-sdk:s3:listObjectsV2":
        prefix = ("s3:prefix", given.get("Prefix", ""))
        return Wanted("s3:ListBucket", f"arn:aws:s3:::{given['Bucket']}", "S3.S3Exception", (prefix,))
    if resource == "arn:aws:states:::s3:getObject":
        return Wanted("s3:GetObject", f"arn:aws:s3:::{given['Bucket']}/{given['Key']}", "States.ItemReaderFailed")
    return None


def enforce(machines: Any, evaluator: Any) -> None:
    """`machines` is MiniStack's module of Step Functions, `evaluator` that of policies; neither has public names."""

    def check(wanted: Wanted | None) -> None:
        role = _role.get()
        if wanted is None or not role:
            return
        account, name = role.split(":")[4], role.rpartition("/")[2]
        asked = evaluator.EvalContext(
            principal_arn=role,
            principal_type="AssumedRole",
            principal_account=account,
            action=wanted.action,
            resource_arn=wanted.resource,
            region="",
            service_context=dict(wanted.context),
        )
        if evaluator.evaluate(asked, evaluator._gather_role_policies(name, account)).decision != "Allow":  # noqa: SLF001 - it has no public name
            refused = f"AccessDenied: {role} is not authorized to perform: {wanted.action} on {wanted.resource}"
            raise machines._ExecutionError(wanted.error, refused)  # noqa: SLF001 - it has no public name

    @contextmanager
    def as_role_of(execution: Any) -> Iterator[str]:
        # A version's ARN ends with :1, that of a Distributed Map's children with /label.
        machine = ":".join(execution["stateMachineArn"].split(":")[:7]).partition("/")[0] if execution else ""
        before = _role.set(machines._state_machines.get(machine, {}).get("roleArn", ""))  # noqa: SLF001 - it has no public name
        try:
            yield machine
        finally:
            _role.reset(before)

    def replaced(name: str) -> Callable[[Any], Any]:
        """Puts the decorated function in the place of `name`; it is given what stood there first."""
        original = getattr(machines, name)

        def put(by: Any) -> Any:
            setattr(machines, name, functools.partial(by, original))
            return by

        return put

    @replaced("_execute_task")
    def execute(original: Any, state: Any, given: Any, execution: Any, context: Any) -> Any:
        with as_role_of(execution):
            return original(state, given, execution, context)

    @replaced("_invoke_resource")  # In a thread of its own where the state has a timeout, with this context copied.
    def invoke(original: Any, resource: Any, given: Any) -> Any:
        check(wanted_by(resource, given))
        return original(resource, given)

    @replaced("_read_map_items")
    def read(original: Any, reader: Any, given: Any, context: Any) -> Any:
        where = machines._resolve_params_obj(reader["Parameters"], given, context)  # noqa: SLF001 - it has no public name
        check(wanted_by(reader["Resource"], where))
        return original(reader, given, context)

    @replaced("_run_distributed_map")
    def distribute(
        original: Any, state: Any, given: Any, effective: Any, iterator: Any, execution: Any, context: Any
    ) -> Any:
        with as_role_of(execution) as machine:
            check(Wanted("states:StartExecution", machine, "States.Permissions"))
            return original(state, given, effective, iterator, execution, context)
