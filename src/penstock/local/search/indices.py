"""Indices, their mappings and the templates they are made by, each with its tables in SQLite."""

from __future__ import annotations

import fnmatch
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from penstock.local.search.errors import SearchError, no_such_index
from penstock.local.search.fields import Fields

_SCHEMA = """
CREATE TABLE IF NOT EXISTS template (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idx (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, mapping TEXT NOT NULL
);
"""


@dataclass(slots=True)
class Index:
    number: int
    name: str
    uuid: str
    mapping: dict[str, Any]
    fields: Fields
    next: int


class Indices:
    """By name. An index's documents are in table `d<number>`, and their words, where it has texts, in `f<number>`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.executescript(_SCHEMA)
        self._there: dict[str, Index] = {}
        for number, name, uuid_, mapping in db.execute("SELECT number, name, uuid, mapping FROM idx"):
            # Tables are named by numbers of our own, here and below.
            (last,) = db.execute(f"SELECT coalesce(max(n), 0) FROM d{number}").fetchone()
            parsed = orjson.loads(mapping)
            self._there[name] = Index(number, name, uuid_, parsed, Fields(parsed), last + 1)

    def has(self, name: str) -> bool:
        return name in self._there

    def templates(self, pattern: str) -> dict[str, Any]:
        found = self._db.execute("SELECT name, body FROM template ORDER BY name").fetchall()
        return {name: orjson.loads(body) for name, body in found if fnmatch.fnmatchcase(name, pattern)}

    def put_template(self, name: str, body: Mapping[str, Any]) -> None:
        for other, there in self.templates("*").items():
            same = set(there["index_patterns"]) & set(body["index_patterns"])
            if other != name and same and there.get("priority", 0) == body.get("priority", 0):
                raise SearchError(
                    400,
                    "illegal_argument_exception",
                    f"index template [{name}] has index patterns {sorted(same)} matching patterns from existing "
                    f"templates [{other}] that have the same priority",
                )
        self._db.execute("INSERT OR REPLACE INTO template VALUES (?, ?)", (name, orjson.dumps(body).decode()))

    def delete_template(self, name: str) -> None:
        if not self._db.execute("DELETE FROM template WHERE name = ?", (name,)).rowcount:
            raise SearchError(404, "index_template_missing_exception", f"index_template [{name}] missing")

    def matching(self, pattern: str) -> list[Index]:
        """Indices by name or pattern; a plain name that is not there is refused."""
        if "*" not in pattern and pattern != "_all":
            return [self.index(pattern)]
        wanted = "*" if pattern == "_all" else pattern
        return [index for name, index in sorted(self._there.items()) if fnmatch.fnmatchcase(name, wanted)]

    def index(self, name: str) -> Index:
        if (found := self._there.get(name)) is None:
            raise no_such_index(name)
        return found

    def create(self, name: str, body: Mapping[str, Any]) -> Index:
        if name in self._there:
            raise SearchError(400, "resource_already_exists_exception", f"index [{name}] already exists")
        if name != name.lower() or name.startswith(("_", "-", "+")) or set(name) & set('\\/*?"<>| ,#'):
            raise SearchError(400, "invalid_index_name_exception", f"Invalid index name [{name}]")
        mapping: dict[str, Any] = {"properties": {}}
        fitting = [
            template
            for template in self.templates("*").values()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in template["index_patterns"])
        ]
        for given in (*sorted(fitting, key=lambda template: template.get("priority", 0))[-1:], {"template": body}):
            mappings = given.get("template", {}).get("mappings", {})
            mapping = {**mapping, **mappings, "properties": {**mapping["properties"], **mappings.get("properties", {})}}
        identity = uuid.uuid4().hex[:22]
        made = self._db.execute(
            "INSERT INTO idx (name, uuid, mapping) VALUES (?, ?, ?)",
            (name, identity, orjson.dumps(mapping).decode()),
        )
        number = made.lastrowid or 0
        self._db.execute(
            f"CREATE TABLE d{number} (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, "
            "arrival TEXT, source TEXT NOT NULL)"
        )
        self._db.execute(f"CREATE INDEX d{number}_arrival ON d{number} (arrival)")
        index = self._there[name] = Index(number, name, identity, mapping, Fields(mapping), 1)
        self._make_words(index)
        return index

    def drop(self, index: Index) -> None:
        self._db.executescript(f"DROP TABLE d{index.number}; DROP TABLE IF EXISTS f{index.number};")
        self._db.execute("DELETE FROM idx WHERE number = ?", (index.number,))
        del self._there[index.name]

    def put_mapping(self, index: Index, body: Mapping[str, Any]) -> None:
        properties = dict(index.mapping.get("properties", {}))
        for name, field in body.get("properties", {}).items():
            there = properties.get(name)
            if there is not None and there.get("type", "object") != field.get("type", "object"):
                raise SearchError(
                    400,
                    "illegal_argument_exception",
                    f"mapper [{name}] cannot be changed from type [{there.get('type', 'object')}] to "
                    f"[{field.get('type', 'object')}]",
                )
            properties[name] = field
        index.mapping = {**index.mapping, **body, "properties": properties}
        before = index.fields.texts
        index.fields = Fields(index.mapping)
        self._db.execute(
            "UPDATE idx SET mapping = ? WHERE number = ?", (orjson.dumps(index.mapping).decode(), index.number)
        )
        if index.fields.texts != before:
            self._make_words(index)

    def _make_words(self, index: Index) -> None:
        """The full-text table, anew, of the documents that are there."""
        self._db.execute(f"DROP TABLE IF EXISTS f{index.number}")
        if not index.fields.texts:
            return
        columns = ", ".join(f"t{place}" for place in range(len(index.fields.texts)))
        self._db.execute(
            f"CREATE VIRTUAL TABLE f{index.number} USING fts5 ({columns}, "
            "tokenize = \"unicode61 remove_diacritics 0 tokenchars '_'\")"
        )
        there = self._db.execute(f"SELECT n, source FROM d{index.number}")
        self.add_words(index, ((n, orjson.loads(source)) for n, source in there))

    def add_words(self, index: Index, documents: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        marks = ", ".join("?" * (len(index.fields.texts) + 1))
        columns = ", ".join(["rowid", *(f"t{place}" for place in range(len(index.fields.texts)))])
        searched = index.fields.searched
        self._db.executemany(
            f"INSERT INTO f{index.number} ({columns}) VALUES ({marks})",
            [(n, *searched(document)) for n, document in documents],
        )
