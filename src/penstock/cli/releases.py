"""`penstock releases`: what deployments with a canary have left, what it costs, and deleting what nothing uses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.options import LOCAL, AsJson, OnAws, StackName
from penstock.cli.screen import NOTHING, clock_time, count, emit, harmless, indented, screen, table
from penstock.cli.target import deployment, option
from penstock.model.errors import PermanentError

if TYPE_CHECKING:
    from penstock.local.releases import Release


KEEP = 2
"""The current release, and the one before it to go back to."""


class Action(StrEnum):
    LIST = "list"
    PRUNE = "prune"


def releases(
    action: Annotated[
        Action, typer.Argument(help="list shows what is kept; prune deletes the versions that nothing uses.")
    ] = Action.LIST,
    keep: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many releases prune leaves, the current one among them.")
    ] = KEEP,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Say what prune would delete, and delete nothing.")
    ] = False,
    stack: StackName = LOCAL,
    aws: OnAws = False,
    as_json: AsJson = False,
) -> None:
    """Show the releases that a canary keeps, and what their snapshots cost; or delete the old ones.

    prune never deletes a release that listings go to, that a run goes on with, that CloudFormation holds, or that was
    replaced less than six hours ago.

    [dim]$ penstock releases --stack penstock-prod --aws
    $ penstock releases prune --stack penstock-prod --aws --dry-run[/dim]
    """
    from penstock.local import releases as of

    target, now = deployment(stack, aws=aws), datetime.now(UTC)
    if action is Action.PRUNE:
        pruned = of.prune(target, now, keep, dry_run=dry_run)
        if as_json:
            emit({"pruned": [release.to_json() for release in pruned], "dry_run": dry_run})
        else:
            _pruned(pruned, dry_run=dry_run)
        return
    found = of.releases(target, now, keep)
    if as_json:
        emit({"releases": [release.to_json() for release in found]})
    elif not found:
        screen().print(f"Stack {stack} keeps no releases: only one with a Canary does.")
    else:
        _show(found)
        if old := [one for one in found if not one.kept]:
            where = option(stack) + (" --aws" if aws else "")
            screen().print(f"\nNothing uses {_so_many(old)} any more: penstock releases prune{where}", soft_wrap=True)


def tell_of_old(stack: str, now: datetime) -> None:
    """A remark at the end of a deployment to AWS. It is deployed, whether or not this can be told."""
    from botocore.exceptions import ClientError

    from penstock.local.cost import PRICES
    from penstock.local.releases import releases as read

    with suppress(PermanentError, ClientError):
        old = [one for one in read(deployment(stack, aws=True), now, KEEP) if not one.kept]
        if old:
            saved = sum(one.dollars for one in old)
            screen().print(
                f"Nothing uses {_so_many(old)} of it any more, ${saved:,.2f} a month by list price of {PRICES.region}: "
                f"penstock releases prune --stack {stack} --aws",
                soft_wrap=True,
            )


def _show(found: Sequence[Release]) -> None:
    shown = table("release", "published", "#listings", "#runs", "#$ a month", "kept, because")
    for one in found:
        shown.add_row(
            harmless(one.name),
            clock_time(one.published),
            f"{one.listings:.0%}" if one.listings else NOTHING,
            count(len(one.runs)) if one.runs else NOTHING,
            f"{one.dollars:,.2f}" if one.dollars else NOTHING,
            one.kept or "[yellow]nothing: prune deletes it[/]",
        )
    console = screen()
    console.print(shown)
    for one in found:
        console.print(indented(f"[dim]{harmless(one.name)}: {_versions(one)}[/]"))


def _pruned(pruned: Sequence[Release], *, dry_run: bool) -> None:
    from penstock.local.cost import PRICES

    console = screen()
    if not pruned:
        console.print("There is nothing to prune: every release is in use, or among those that are kept.")
        return
    for one in pruned:
        console.print(
            f"{'would delete' if dry_run else 'deleted'} {harmless(one.name)}: {_versions(one)}", soft_wrap=True
        )
    saved = sum(one.dollars for one in pruned)
    console.print(f"{_so_many(pruned)}, ${saved:,.2f} a month by list price of {PRICES.region}")


def _so_many(some: Sequence[Release]) -> str:
    return f"{count(len(some))} release{'s' if len(some) != 1 else ''}"


def _versions(release: Release) -> str:
    return ", ".join(f"{one.of} {one.number}" for one in sorted(release.versions, key=lambda one: (one.of, one.number)))
