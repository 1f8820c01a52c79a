"""What each role of a running stack may do, permission by permission, and how one is taken out and given back."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from penstock.local.stack import LocalStack
from penstock.local.template import MINISTACKS_NAMES


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One action on one resource; of a policy that AWS manages, all of it: `action` is its name, `resource` empty.

    `role` is the logical id of whose role it is, as `ListIncoming`; `sid` the statement's.
    """

    role: str
    sid: str
    action: str
    resource: str

    @property
    def managed(self) -> bool:
        return not self.resource


class Roles:
    """The roles of a stack. The engine asks a role's policies at each call, so a change holds at once."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._iam = stack.client("iam")

    @cached_property
    def physical(self) -> dict[str, str]:
        """Physical ids of the stack's resources by their logical ones."""
        described = self._stack.client("cloudformation").describe_stack_resources(StackName=self._stack.name)
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in described["StackResources"]}

    @cached_property
    def names(self) -> dict[str, str]:
        """The roles' names by whose they are."""
        return {
            logical.removesuffix("Role"): name for logical, name in self.physical.items() if logical.endswith("Role")
        }

    def grants(self) -> list[Grant]:
        found: list[Grant] = []
        for owner, role in self.names.items():
            for policy in self._policies(role):
                found += [
                    Grant(owner, statement.get("Sid", "(SAM's own)"), action, self.told(resource))
                    for statement in self._statements(role, policy)
                    for action in _listed(statement["Action"])
                    if action not in MINISTACKS_NAMES.values()  # The template's own name of it stands beside it.
                    for resource in _listed(statement["Resource"])
                ]
            attached = self._iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
            found += [Grant(owner, "(managed by AWS)", policy["PolicyName"], "") for policy in attached]
        return sorted(found)

    def told(self, resource: str) -> str:
        """An ARN as the template names it: `LandingBucket/plans/*`."""
        for logical, id_ in sorted(self.physical.items(), key=lambda pair: -len(pair[1])):
            name = id_.rpartition("/")[2].rpartition(":")[2]  # Of a queue's URL and of a machine's ARN.
            if name in resource:
                return logical + resource.partition(name)[2]
        # A secret's name ends in six letters by chance, a pipeline's is chance altogether.
        return re.sub(r"-[0-9a-f]{6}$|(?<=pipeline/)df-.*", "", resource.split(":", 5)[-1])

    @contextmanager
    def without(self, *grants: Grant, anew: bool = True) -> Iterator[None]:
        """Takes them out, and with `anew` their functions' warm workers: they would go on with what they have read."""
        with ExitStack() as given_back:
            for owner in sorted({grant.role for grant in grants}):
                if anew and not owner.endswith("StateMachine"):
                    self._start_anew(owner)
                self._take_out(given_back, self.names[owner], [one for one in grants if one.role == owner])
            yield

    def _take_out(self, given_back: ExitStack, role: str, grants: list[Grant]) -> None:
        managed = {grant.action for grant in grants if grant.managed}
        for policy in self._iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            if policy["PolicyName"] in managed:
                given_back.callback(self._iam.attach_role_policy, RoleName=role, PolicyArn=policy["PolicyArn"])
                self._iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
        for policy in self._policies(role):
            statements = self._statements(role, policy)
            left = statements
            for grant in grants:
                left = [kept for one in left for kept in self._lessened(one, grant)]
            if left != statements:
                given_back.callback(self._put, role, policy, statements)
                # Of one statement several are left, and no two may have the same Sid.
                self._put(role, policy, [{key: one[key] for key in one if key != "Sid"} for one in left])

    def _lessened(self, statement: dict[str, Any], grant: Grant) -> list[dict[str, Any]]:
        """The statement without the one pair of action and resource: each other action, and its other resources."""
        if grant.managed or statement.get("Sid", "(SAM's own)") != grant.sid:
            return [statement]
        resources = _listed(statement["Resource"])
        lost = {grant.action, MINISTACKS_NAMES.get(grant.action)}
        left = []
        for action in _listed(statement["Action"]):
            kept = [one for one in resources if action not in lost or self.told(one) != grant.resource]
            if kept:
                left.append({**copy.deepcopy(statement), "Action": action, "Resource": kept})
        return left

    def _policies(self, role: str) -> list[str]:
        names: list[str] = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        return names

    def _statements(self, role: str, policy: str) -> list[dict[str, Any]]:
        document = self._iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        statements: list[dict[str, Any]] = document["Statement"]
        return statements

    def _put(self, role: str, policy: str, statements: list[dict[str, Any]]) -> None:
        # IAM refuses a policy without a statement, so one is left that allows nothing of ours.
        nothing = {"Effect": "Allow", "Action": "iam:GetAccountName", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": statements or [nothing]}
        self._iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))

    def _start_anew(self, function: str) -> None:
        functions, name = self._stack.client("lambda"), self.physical[function]
        # Its workers are replaced where the update names what they were started with, changed or not.
        timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
        functions.update_function_configuration(FunctionName=name, Timeout=timeout)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
