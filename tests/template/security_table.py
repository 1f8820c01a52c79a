"""Who may do what on what, and why: the tables of docs/security.md, read from the templates' statements.

`make security` writes them. The why is a statement's Sid, in words, and the comments that stand in it.
"""

from __future__ import annotations

import re
from typing import Any

from tests.template.deployment import ARCHIVE, DATABASE, NETWORK, REPOSITORY, TEMPLATE, source

TEMPLATES = {TEMPLATE: "", NETWORK: "MakesNetwork", DATABASE: "MakesDatabase", ARCHIVE: "HasArchive"}
"""With the conditions that the nested ones stand behind. Data Pipeline's has AWS's own policies alone."""
PAGE = REPOSITORY / "docs" / "security.md"
BEGIN = "<!-- begin: written by `make security` from template.yaml -->"
END = "<!-- end -->"
RESOURCE = re.compile(r"^  (\w+):", re.MULTILINE)


def tables() -> str:
    """Markdown: what each role may do, then what resource policies let in and keep out."""
    roles, policies, everything = [], [], []
    for name, statement, when, why in _granted():
        told = ". ".join(why) + "."
        if "Principal" in statement:
            who = f"{statement['Effect']} {_principal(statement)}"
            policies.append([name, who, _actions(statement), told, when])
            continue
        roles.append([name, _actions(statement), _resources(statement), told, when])
        if statement["Resource"] == "*":
            everything.append([name, _actions(statement), told, when])
    return "\n\n".join(
        [
            "### What each role may do",
            _table(["role", "may", "on", "why", "where"], roles),
            "### Whom bucket, queues, topic and endpoints let in",
            _table(["policy", "who", "may", "why", "where"], policies),
            "### Where the resource is `*`",
            _table(["role", "may", "why", "where"], everything),
        ]
    )


def wide() -> list[tuple[str, str, list[str]]]:
    """Role, actions and reasons of what is granted on `*`; the first reason is the Sid's words."""
    return [
        (name, _actions(statement), why)
        for name, statement, _, why in _granted()
        if statement.get("Resource") == "*" and "Principal" not in statement
    ]


def granted_words() -> list[tuple[str, str, str, str]]:
    """Of each statement of a role: whose it is, its Sid, that in words, and the conditions that it stands behind."""
    return [
        (name, statement["Sid"], why[0], when)
        for name, statement, when, why in _granted()
        if "Principal" not in statement
    ]


def written() -> str:
    """docs/security.md as it ought to be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


def _granted() -> list[tuple[str, dict[str, Any], str, list[str]]]:
    """Each statement: its resource, itself, the conditions that it stands behind, and why it is there."""
    return [
        (name, statement, " and ".join(filter(None, (nested, resource.get("Condition"), when))), _why(statement, block))
        for template, nested in TEMPLATES.items()
        for name, resource in source(template)["Resources"].items()
        for block in [_block(template.read_text(), name)]
        for properties in [resource.get("Properties", {})]
        for statement, when in _statements([*properties.get("Policies", []), properties.get("PolicyDocument", {})])
    ]


def _statements(documents: list[Any]) -> list[tuple[dict[str, Any], str]]:
    """Each statement with the conditions that it stands behind."""
    found: list[tuple[dict[str, Any], str]] = []

    def walk(node: Any, when: tuple[str, ...]) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one, when)
        elif isinstance(node, dict) and "Fn::If" in node:
            condition, then, otherwise = node["Fn::If"]
            walk(then, (*when, condition))
            walk(otherwise, (*when, f"not {condition}"))
        elif isinstance(node, dict) and "PolicyDocument" in node:
            walk(node["PolicyDocument"], when)
        elif isinstance(node, dict) and "Statement" in node:
            walk(node["Statement"], when)
        elif isinstance(node, dict) and "Action" in node:
            found.append((node, " and ".join(when)))

    walk(documents, ())
    return found


def _block(text: str, name: str) -> str:
    """A resource's lines, comments and all."""
    start = re.search(rf"^  {name}:.*\n", text, re.MULTILINE)
    assert start, name
    after = RESOURCE.search(text, start.end())
    return text[start.end() : after.start() if after else len(text)]


def _why(statement: dict[str, Any], block: str) -> list[str]:
    """The Sid in words, and the comments among the statement's lines."""
    sid = statement["Sid"]
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", sid).capitalize()
    lines = block[block.index(f"Sid: {sid}") :].splitlines()
    end = next((n for n, line in enumerate(lines[1:], 1) if re.match(r"\s*- (Sid|!If|!Ref)", line)), len(lines))
    comments = [match[1] for line in lines[:end] if (match := re.search(r"(?:^|\s)# (?!──)(.*)", line))]
    return [words, *(comment.rstrip(".").replace("|", "\\|") for comment in comments)]


def _actions(statement: dict[str, Any]) -> str:
    return "<br>".join(f"`{one}`" for one in _flat(statement["Action"]))


def _flat(actions: Any) -> list[str]:
    if isinstance(actions, str):
        return [actions]
    if isinstance(actions, dict):  # Which one is a condition's choice.
        return [one for branch in actions["Fn::If"][1:] for one in _flat(branch)]
    return [one for some in actions for one in _flat(some)]


def _resources(statement: dict[str, Any]) -> str:
    resources = statement["Resource"]
    return "<br>".join(
        f"`{_named(one)}`" for one in (resources if isinstance(resources, list) else [resources]) if _named(one)
    )


def _named(resource: Any) -> str:
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return str(resource["Ref"])
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    if "Fn::If" in resource:
        return " or ".join(filter(None, (_named(one) for one in resource["Fn::If"][1:])))
    sub = resource["Fn::Sub"]
    text = sub if isinstance(sub, str) else sub[0]
    text = re.sub(r"^arn:\$\{AWS::Partition\}:([\w-]+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:", r"\1: ", text)
    text = text.removeprefix("arn:${AWS::Partition}:s3:::")  # A nested template's bucket.
    return re.sub(r"\$\{(\w+)(?:\.\w+)?\}", r"\1", text)


def _principal(statement: dict[str, Any]) -> str:
    principal = statement["Principal"]
    if principal != "*":
        return str(principal["Service"])
    ours = "aws:PrincipalAccount" in statement.get("Condition", {}).get("StringEquals", {})
    return "this account's roles" if ours else "everyone"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(written())
