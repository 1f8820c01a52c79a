"""The part of OpenSearch's query DSL that Penstock uses, as SQL over an index's two tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.local.search.errors import SearchError
from penstock.local.search.fields import Fields

_WORDS = re.compile(r"\w+")
_CLAUSES = re.compile(r'([-+]?)(?:"([^"]*)"|([^\s"|]+))|(\|)')


@dataclass
class Query:
    """`where` are conditions on `d`, the documents; `match` is an FTS5 expression on `f`, which also ranks."""

    where: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    match: str = ""
    weights: tuple[float, ...] = ()
    nothing: bool = False
    """It asks for words, and has none."""


def compiled(query: Mapping[str, Any] | None, fields: Fields) -> Query:
    """Raises SearchError (parsing_exception) for a query of a kind that this engine does not have."""
    into = Query()
    _add(query or {"match_all": {}}, fields, into)
    return into


def _add(query: Mapping[str, Any], fields: Fields, into: Query) -> None:
    if len(query) != 1:
        raise SearchError(400, "parsing_exception", "[query] malformed query, one kind of query was expected")
    ((kind, body),) = query.items()
    if kind == "match_all":
        return
    if kind == "bool":
        for clause in ("must", "filter"):
            inner = body.get(clause, [])
            for one in [inner] if isinstance(inner, dict) else inner:
                _add(one, fields, into)
    elif kind == "ids":
        into.where.append(f"d.id IN ({', '.join('?' * len(body['values']))})")
        into.parameters += body["values"]
    elif kind == "term":
        ((name, value),) = body.items()
        _term(name, value["value"] if isinstance(value, dict) else value, fields, into)
    elif kind == "range":
        ((name, value),) = body.items()
        _before(name, value, into)
    elif kind == "match":
        ((name, value),) = body.items()
        value = value if isinstance(value, dict) else {"query": value}
        _match(_joined(value["query"], value.get("operator", "or")), [name], fields, into)
    elif kind == "multi_match":
        _match(_joined(body["query"], body.get("operator", "or")), body.get("fields", ["*"]), fields, into)
    elif kind == "simple_query_string":
        _match(_simple(body["query"], body.get("default_operator", "or")), body.get("fields", ["*"]), fields, into)
    else:
        raise SearchError(400, "parsing_exception", f"unknown query [{kind}]")


def _term(name: str, value: Any, fields: Fields, into: Query) -> None:
    if name == "penstock_arrival":
        into.where.append("d.arrival = ?")
        into.parameters.append(value)
        return
    if fields.properties.get(name, {}).get("type") == "text":
        _match(_quoted(str(value)), [name], fields, into)
        return
    into.where.append("json_extract(d.source, ?) = ?")
    into.parameters += [f'$."{name.removesuffix(".keyword")}"', value]


def _before(name: str, value: Mapping[str, Any], into: Query) -> None:
    """Of dates alone; to the millisecond, as OpenSearch keeps them."""
    if set(value) != {"lt"}:
        raise SearchError(400, "parsing_exception", f"[range] of {sorted(value)}: the embedded index knows lt")
    into.where.append("julianday(json_extract(d.source, ?)) < julianday(?)")
    into.parameters += [f'$."{name}"', value["lt"]]


def _match(expression: str, names: Sequence[str], fields: Fields, into: Query) -> None:
    if not expression:
        into.nothing = True
        return
    boosts = {name.partition("^")[0].removesuffix(".keyword"): float(name.partition("^")[2] or 1) for name in names}
    places = [place for place, name in enumerate(fields.texts) if "*" in boosts or name in boosts]
    if not places:
        into.nothing = True
        return
    into.weights = tuple(boosts.get(name, 1.0) for name in fields.texts)
    columns = " ".join(f"t{place}" for place in places)
    within = f"{{{columns}}} : ({expression})"
    into.match = f"({into.match}) AND {within}" if into.match else within


def _joined(text: Any, operator: str) -> str:
    word = " AND " if operator.lower() == "and" else " OR "
    return word.join(_quoted(found) for found in _WORDS.findall(str(text)))


def _simple(text: str, operator: str) -> str:
    """`+`, `-`, `|`, "phrases" and prefixes*; what is malformed is taken for words, as OpenSearch does."""
    word = " AND " if operator.lower() == "and" else " OR "
    wanted: list[str] = []
    unwanted: list[str] = []
    either = False
    for sign, phrase, plain, bar in _CLAUSES.findall(text):
        if bar:
            either = True
            continue
        words = _WORDS.findall(phrase or plain)
        if not words:
            continue
        one = _quoted(" ".join(words)) + ("*" if plain.endswith("*") else "")
        if sign == "-":
            unwanted.append(one)
        elif either and wanted:
            wanted[-1] = f"({wanted[-1]} OR {one})"
        else:
            wanted.append(one)
        either = False
    expression = word.join(wanted)
    if expression and unwanted:
        return f"({expression}) NOT ({' OR '.join(unwanted)})"
    return expression


def _quoted(words: str) -> str:
    return '"' + words.replace('"', '""') + '"'
