"""From `--stack` and `--aws` to a deployment. Its imports wait until a command needs them: `--help` answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cli.options import LOCAL
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.deployment import Deployment


def deployment(stack: str, *, aws: bool) -> Deployment:
    """Raises PermanentError, with what to do, when there is no such stack."""
    from penstock.local.deployment import aws_deployment, local_deployment

    if aws:
        return aws_deployment(stack)
    from penstock.local.stack import LocalStack

    found = LocalStack.find(stack)
    if not all(engine.alive for engine in found.status()):
        raise PermanentError(f"stack {stack} is not up any more. End what is left of it: penstock down{option(stack)}")
    return local_deployment(found)


def option(stack: str) -> str:
    """What a command is told for this stack: nothing for the default one."""
    return "" if stack == LOCAL else f" --stack {stack}"
