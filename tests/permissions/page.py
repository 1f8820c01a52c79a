"""docs/permissions.md, from what was measured."""

from __future__ import annotations

from itertools import groupby

from tests.permissions.measure import Shown
from tests.permissions.not_shown import why, why_absent
from tests.template.security_table import granted_words

HEAD = """\
# Every permission, taken out once

Made by one run of `make permissions`, which changes one stack on the laptop's engines, IAM enforced on functions and
state machines: one permission of one role is taken out (an action on a resource, or a policy that AWS manages), and a
small day is played through all functions and machines. Where no step misses it the function starts anew and the day is
played again, for a warm worker goes on with what it has read. The first step that fails is written down, and the
permission is given back. Those that the second table excuses are taken out together first: where nothing fails without
all of them, nothing does without one. Before the first and after the last all are there, and no step fails.

Shown here or not, a permission that is deleted from a template fails a test, for each role is held to its exact set:
tests/template/test_permissions.py, and test_archive.py, test_database.py and test_network.py beside it.
"""


def page(shown: list[Shown], engine: str) -> str:
    failing = [one for one in shown if one.step]
    passing = [one for one in shown if not one.step]
    told = (
        f"Of {len(shown)} permissions {len(failing)} made a step fail when they were missing. Of the other "
        f"{len(passing)} the second table says why none did. Engine: {engine}."
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
            "## Not in the stack that is played",
            "",
            "| role or policy | for what | where | why |",
            "|---|---|---|---|",
            *(
                f"| {name} | {told} | {when} | {why_absent(when.split(' and '))} |"
                for name, told, when in absent(shown)
            ),
            "",
        ]
    )


def absent(shown: list[Shown]) -> list[tuple[str, str, str]]:
    """Role or policy, the words of the statement's Sid, and the conditions that it stands behind."""
    there = {(one.grant.role, one.grant.sid) for one in shown}
    return [
        (name, told, when) for name, sid, told, when in granted_words() if (name.removesuffix("Role"), sid) not in there
    ]


def unexplained(shown: list[Shown]) -> list[str]:
    return [
        *(
            f"{one.grant.role}: {one.grant.action} on {one.grant.resource}"
            for one in shown
            if not (one.step or why(one.grant))
        ),
        *(
            f"{name}: {told}, behind {when}"
            for name, told, when in absent(shown)
            if not why_absent(when.split(" and "))
        ),
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
