"""What releases with a canary leave behind: versions of functions and of the machine of runs, and what they still cost.

A release is what was deployed under one `Release`: template.yaml gives its name to each function's version, and the
machine's version names versions of functions (docs/adr/0053). What it costs is the snapshots of `SnapStart=published`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from penstock.local.coming import MONTH
from penstock.local.cost import PRICES
from penstock.local.deployment import Deployment
from penstock.model.errors import PermanentError

LONGEST_RUN = timedelta(hours=6)
"""The machine's own limit, and longer than any canary: after it nothing of a release goes on that another replaced."""

_LISTER, _MACHINE = "ListIncoming", "IngestStateMachine"
_VERSIONS = ("AWS::Lambda::Version", "AWS::StepFunctions::StateMachineVersion")
_FUNCTION_VERSION = re.compile(r"arn:[\w-]+:lambda:[\w-]+:\d+:function:[\w-]+:\d+")
_AT_REST = ("CREATE", "UPDATE", "UPDATE_ROLLBACK", "IMPORT", "IMPORT_ROLLBACK")


@dataclass(frozen=True)
class Version:
    """`of` is the logical id of its function or machine; `snapshot` its snapshot's size, in GB."""

    of: str
    arn: str
    published: datetime
    snapshot: float = 0.0

    @property
    def number(self) -> int:
        return int(self.arn.rpartition(":")[2])


@dataclass(frozen=True)
class Release:
    """`kept` says why prune leaves it, and is empty where it would not; `listings` is a part of one."""

    name: str
    versions: Sequence[Version]
    listings: float = 0.0
    runs: Sequence[str] = ()
    kept: str = ""

    @property
    def published(self) -> datetime:
        return max(version.published for version in self.versions)

    @property
    def dollars(self) -> float:
        """A month."""
        return sum(one.snapshot for one in self.versions) * MONTH * PRICES.dollars["lambda_snapshot_gb_second"]

    def to_json(self) -> dict[str, Any]:
        return {
            "release": self.name,
            "published": self.published.isoformat(),
            "versions": [{"of": one.of, "version": one.number, "arn": one.arn} for one in self.versions],
            "listings": self.listings,
            "runs": list(self.runs),
            "dollars_a_month": round(self.dollars, 2),
            "kept": self.kept or None,
        }


def releases(deployment: Deployment, now: datetime, keep: int) -> list[Release]:
    """The newest first. `keep` is how many prune leaves of those that are not in use, the current one among them.

    Raises PermanentError where CloudFormation holds a version that is not found: what is in use is not known then.
    """
    return _judged(_Stack(deployment), now, keep)


def prune(deployment: Deployment, now: datetime, keep: int, *, dry_run: bool) -> list[Release]:
    """Deletes the versions of all releases that are not kept; gives those. Done again, it goes on where it ended.

    Raises PermanentError while the stack is changing: which release it goes back to is not known then.
    """
    stack = _Stack(deployment)
    if stack.status.removesuffix("_COMPLETE") not in _AT_REST:
        raise PermanentError(f"stack {stack.name} is {stack.status}: its releases can be pruned when that is over")
    old = [release for release in _judged(stack, now, keep) if not release.kept]
    functions, machines = deployment.client("lambda"), deployment.client("stepfunctions")
    for version in (one for release in old for one in release.versions if not dry_run):
        if version.of == _MACHINE:
            machines.delete_state_machine_version(stateMachineVersionArn=version.arn)
        else:
            function = version.arn.rpartition(":")[0]
            with suppress(functions.exceptions.ResourceNotFoundException):  # Somebody else was quicker.
                functions.delete_function(FunctionName=function, Qualifier=str(version.number))
    return old


def require_unused(deployment: Deployment, name: str) -> None:
    """Raises PermanentError for a release that is there, deployed or taken back.

    Lambda publishes the same twice for nobody, and CloudFormation publishes nothing where the name is still the same.
    """
    if any(release == name for release, _ in _Stack(deployment).of_functions()):
        raise PermanentError(
            f"stack {deployment.name} has versions of a release {name} already, so nothing new would run, or the "
            "deployment would fail half-way. Name another by --parameter Release=…, or none: then the time names it"
        )


def _judged(stack: _Stack, now: datetime, keep: int) -> list[Release]:
    found = stack.releases
    missing = stack.held - {version.arn for release in found for version in release.versions}
    if missing:
        raise PermanentError(
            f"stack {stack.name} holds {', '.join(sorted(missing))}, which is of no release that is found here: "
            "it can't be told which releases are in use. Deploy again under a new Release"
        )
    # What is newer than the current one was taken back, and is none to go back to.
    current = next((place for place, one in enumerate(found) if stack.holds(one)), 0)
    told = []
    for place, release in enumerate(found):
        # The newest: when it was taken back, or the canary ended.
        replaced = found[place - 1].published if place else max(release.published, stack.changed)
        among = current <= place < current + keep
        kept = stack.needs(release) or (f"among the last {keep}" if among else "")
        if not kept and now - replaced < LONGEST_RUN:
            kept = "replaced less than six hours ago"
        told.append(replace(release, kept=kept))
    return told


class _Stack:
    """What is there, each asked for once."""

    def __init__(self, deployment: Deployment) -> None:
        self._machine = deployment.machine
        self._functions = deployment.client("lambda")
        self._runs = deployment.client("stepfunctions")
        self.name = deployment.name
        cloudformation = deployment.client("cloudformation")
        (stack,) = cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        self.status = str(stack["StackStatus"])
        self.changed: datetime = stack.get("LastUpdatedTime", stack["CreationTime"])
        pages = cloudformation.get_paginator("list_stack_resources")
        there = [
            one
            for page in pages.paginate(StackName=self.name)
            for one in page["StackResourceSummaries"]
            if not one["ResourceStatus"].startswith("DELETE_")
        ]
        self._names: Mapping[str, str] = {
            one["PhysicalResourceId"]: one["LogicalResourceId"]
            for one in there
            if one["ResourceType"] == "AWS::Lambda::Function"
        }
        self.held = {one["PhysicalResourceId"] for one in there if one["ResourceType"] in _VERSIONS}

    def holds(self, release: Release) -> bool:
        """Whether CloudFormation takes it for the current one."""
        return any(version.arn in self.held for version in release.versions)

    def needs(self, release: Release) -> str:
        """What uses it, or nothing."""
        versions = {version.arn for version in release.versions}
        if release.listings:
            return "listings go to it"
        if versions & set(self._shares):
            return "an alias names it"
        if release.runs:
            return "a run of it is going on"
        if versions & self.held:
            return "CloudFormation holds it"
        return "the machine of runs names it" if versions & self._named_now else ""

    @cached_property
    def releases(self) -> list[Release]:
        """The newest first."""
        made: defaultdict[str, list[Version]] = defaultdict(list)
        of: dict[str, str] = {}
        for name, version in self.of_functions():
            made[name].append(version)
            of[version.arn] = name
        for version, names in self._of_machine():
            # Of a machine whose functions' versions are all gone nobody knows the release. It costs nothing.
            if known := sorted({of[one] for one in names if one in of}):
                made[known[-1]].insert(0, version)  # The first to be deleted: then no run begins that has no functions.
        return sorted((self._release(*one) for one in made.items()), key=lambda one: one.published, reverse=True)

    def _release(self, name: str, versions: Sequence[Version]) -> Release:
        arns = {version.arn for version in versions}
        lists = sum(self._shares.get(version.arn, 0.0) for version in versions if version.of == _LISTER)
        return Release(name, versions, lists, [run for run, uses in self._uses.items() if uses & arns])

    def of_functions(self) -> Iterator[tuple[str, Version]]:
        pages = self._functions.get_paginator("list_versions_by_function")
        for function, logical_id in self._names.items():
            for one in (one for page in pages.paginate(FunctionName=function) for one in page["Versions"]):
                release = one.get("Environment", {}).get("Variables", {}).get("PENSTOCK_RELEASE")
                if one["Version"] == "$LATEST" or not release or one.get("Description") != release:
                    continue  # One that somebody published by hand is his.
                has_snapshot = one.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
                size = one["MemorySize"] / 1024 if has_snapshot else 0.0
                yield (
                    release,
                    Version(logical_id, one["FunctionArn"], datetime.fromisoformat(one["LastModified"]), size),
                )

    def _of_machine(self) -> Iterator[tuple[Version, set[str]]]:
        """Each with the versions of functions that it names."""
        asked: dict[str, str] = {"stateMachineArn": self._machine}
        while True:  # botocore has no paginator for it.
            page = self._runs.list_state_machine_versions(**asked)
            for one in page["stateMachineVersions"]:
                arn = one["stateMachineVersionArn"]
                yield Version(_MACHINE, arn, one["creationDate"]), self._named_by(arn)
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]

    def _named_by(self, machine: str) -> set[str]:
        return _versions_in(self._runs.describe_state_machine(stateMachineArn=machine))

    @cached_property
    def _named_now(self) -> set[str]:
        return self._named_by(self._machine)

    @cached_property
    def _shares(self) -> dict[str, float]:
        """By the version that an alias names, its part of the calls."""
        shares: dict[str, float] = {}
        pages = self._functions.get_paginator("list_aliases")
        for function in self._names:
            for alias in (one for page in pages.paginate(FunctionName=function) for one in page["Aliases"]):
                arn = alias["AliasArn"].removesuffix(f":{alias['Name']}")
                others = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
                shares[f"{arn}:{alias['FunctionVersion']}"] = 1.0 - sum(others.values())
                shares |= {f"{arn}:{version}": weight for version, weight in others.items()}
        return shares

    @cached_property
    def _uses(self) -> dict[str, set[str]]:
        """By run that is going on, or may again, the versions that it goes on with, its machine's among them."""
        uses: dict[str, set[str]] = {}
        pages = self._runs.get_paginator("list_executions")
        for status in ("RUNNING", "PENDING_REDRIVE"):
            for page in pages.paginate(stateMachineArn=self._machine, statusFilter=status):
                for one in page["executions"]:
                    definition = self._runs.describe_state_machine_for_execution(executionArn=one["executionArn"])
                    uses[one["name"]] = _versions_in(definition) | {one.get("stateMachineVersionArn") or ""}
        return uses


def _versions_in(machine: Mapping[str, Any]) -> set[str]:
    return set(_FUNCTION_VERSION.findall(machine["definition"]))
