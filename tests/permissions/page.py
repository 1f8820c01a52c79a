"""docs/permissions.md, from what was measured."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from tests.permissions.measure import Shown
from tests.permissions.not_shown import why

HEAD = """\
# Every permission, taken out once

Made by `make permissions`, which changes one stack on the laptop's engines, IAM enforced: one permission of one role is
taken out (an action on a resource, or a policy that AWS manages), the function's warm workers are replaced, and a small
day is played through all functions and machines. The first step that fails is written down, and the permission is given
back. Before the first and after the last all of them are there, and no step fails.
"""


def page(shown: list[Shown], engine: str) -> str:
    failing = [one for one in shown if one.step]
    passing = [one for one in shown if not one.step]
    told = (
        f"Of {len(shown)} permissions {len(failing)} made a step fail when they were missing. Of the other "
        f"{len(passing)} the last table says why none did. Engine: {engine}."
    )
    return "\n".join(
        [
            HEAD,
            told,
            "",
            "## Without it, this step fails",
            "",
            "| role | permission | on | the step that fails |",
            "|---|---|---|---|",
            *(
                f"| {one.grant.role} | `{one.grant.action}` | {_code(one.grant.resource)} | {one.step} |"
                for one in failing
            ),
            "",
            "## Without it, nothing fails here",
            "",
            "| role | permission | why |",
            "|---|---|---|",
            *_together(passing),
            "",
        ]
    )


def unexplained(shown: Iterable[Shown]) -> list[str]:
    return [
        f"{one.grant.role}: {one.grant.action} on {one.grant.resource}"
        for one in shown
        if not (one.step or why(one.grant))
    ]


def _together(passing: list[Shown]) -> list[str]:
    """A line for each role and reason."""

    def key(one: Shown) -> tuple[str, str]:
        return one.grant.role, why(one.grant)

    return [
        f"| {role} | {', '.join(_permission(one) for one in group)} | {reason} |"
        for (role, reason), group in groupby(sorted(passing, key=key), key)
    ]


def _permission(one: Shown) -> str:
    where = f" on {_code(one.grant.resource)}" if one.grant.resource not in {"", "*"} else ""
    return f"`{one.grant.action}`{where}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
