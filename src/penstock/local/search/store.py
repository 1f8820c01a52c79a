"""Indices, templates and documents in SQLite. One connection, one thread: the app calls it from a single worker."""

from __future__ import annotations

import fnmatch
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from penstock.local.search.aggregations import Composite
from penstock.local.search.errors import SearchError, no_such_index
from penstock.local.search.fields import Fields
from penstock.local.search.queries import Query, compiled
from penstock.model.datasets import LINEAGE

_SCHEMA = """
CREATE TABLE IF NOT EXISTS template (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idx (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL, mapping TEXT NOT NULL
);
"""


_OF_JSON = "json_extract(d.source, ?)"


@dataclass(frozen=True, slots=True)
class Operation:
    """One of a bulk request. `source` is None for a delete. `version` is `external_gte`'s, or None.

    A deleted document's version is forgotten at once, which OpenSearch does after `index.gc_deletes` (a minute).
    """

    action: str
    index: str
    id: str
    source: bytes | None
    version: int | None = None


@dataclass(slots=True)
class _Index:
    number: int
    name: str
    uuid: str
    mapping: dict[str, Any]
    fields: Fields
    next: int


class Store:
    """All of the engine's state, in a file or (`:memory:`) in memory."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # A power cut may cost the file; it is rebuilt from processed/, as any index is.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;" + _SCHEMA)
        self._indices: dict[str, _Index] = {}
        for number, name, uuid_, mapping in self._db.execute("SELECT number, name, uuid, mapping FROM idx"):
            # Tables are named by numbers of our own, here and below.
            (last,) = self._db.execute(f"SELECT coalesce(max(n), 0) FROM d{number}").fetchone()
            parsed = orjson.loads(mapping)
            self._indices[name] = _Index(number, name, uuid_, parsed, Fields(parsed), last + 1)

    def close(self) -> None:
        self._db.close()

    # Templates and indices

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

    def matching(self, pattern: str) -> list[_Index]:
        """Indices by name or pattern; a plain name that is not there is refused."""
        if "*" not in pattern and pattern != "_all":
            return [self.index(pattern)]
        wanted = "*" if pattern == "_all" else pattern
        return [index for name, index in sorted(self._indices.items()) if fnmatch.fnmatchcase(name, wanted)]

    def index(self, name: str) -> _Index:
        if (found := self._indices.get(name)) is None:
            raise no_such_index(name)
        return found

    def create(self, name: str, body: Mapping[str, Any]) -> _Index:
        if name in self._indices:
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
        index = self._indices[name] = _Index(number, name, identity, mapping, Fields(mapping), 1)
        self._make_words(index)
        return index

    def drop(self, index: _Index) -> None:
        self._db.executescript(f"DROP TABLE d{index.number}; DROP TABLE IF EXISTS f{index.number};")
        self._db.execute("DELETE FROM idx WHERE number = ?", (index.number,))
        del self._indices[index.name]

    def put_mapping(self, index: _Index, body: Mapping[str, Any]) -> None:
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

    def _make_words(self, index: _Index) -> None:
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
        self._insert_words(index, ((n, orjson.loads(source)) for n, source in there))

    def _insert_words(self, index: _Index, documents: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        marks = ", ".join("?" * (len(index.fields.texts) + 1))
        columns = ", ".join(["rowid", *(f"t{place}" for place in range(len(index.fields.texts)))])
        searched = index.fields.searched
        self._db.executemany(
            f"INSERT INTO f{index.number} ({columns}) VALUES ({marks})",
            [(n, *searched(document)) for n, document in documents],
        )

    # Documents

    def bulk(self, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Does them in one transaction, in their order; an item each, as OpenSearch answers."""
        items: list[dict[str, Any]] = [{}] * len(operations)
        by_index: dict[str, list[int]] = {}
        for place, operation in enumerate(operations):
            by_index.setdefault(operation.index, []).append(place)
        self._db.execute("BEGIN")
        try:
            for name, places in by_index.items():
                index = self._indices.get(name) or self.create(name, {})
                self._write(index, operations, places, items)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return items

    def _write(
        self, index: _Index, operations: Sequence[Operation], places: Sequence[int], items: list[dict[str, Any]]
    ) -> None:
        ids = orjson.dumps([operations[place].id for place in places]).decode()
        there = {
            id_: (n, version)
            for n, id_, version in self._db.execute(
                f"SELECT n, id, version FROM d{index.number} WHERE id IN (SELECT value FROM json_each(?))",
                (ids,),
            )
        }
        versions = {id_: version for id_, (_, version) in there.items()}
        live = set(there)
        wanted: dict[str, tuple[bytes, Mapping[str, Any]] | None] = {}
        name = index.name
        for place in places:
            operation = operations[place]
            id_ = operation.id
            item: dict[str, Any] = {"_index": name, "_id": id_}
            items[place] = {operation.action: item}
            if id_ in live and operation.version is not None and operation.version < versions[id_]:
                refused = SearchError(
                    409,
                    "version_conflict_engine_exception",
                    f"[{id_}]: version conflict, current version [{versions[id_]}] is higher than the one provided "
                    f"[{operation.version}]",
                )
                item |= {"status": refused.status, "error": refused.error()}
                continue
            if operation.source is None:
                found = id_ in live
                live.discard(id_)
                if found:
                    wanted[id_] = None
                    versions[id_] = versions[id_] + 1 if operation.version is None else operation.version
                item |= {"result": "deleted" if found else "not_found", "status": 200 if found else 404}
            else:
                try:
                    document = _parsed(operation.source, id_)
                    if operation.action == "create" and id_ in live:
                        raise SearchError(
                            409,
                            "version_conflict_engine_exception",
                            f"[{id_}]: version conflict, document already exists",
                        )
                    if grown := index.fields.grown(document):
                        self.put_mapping(index, {"properties": grown})
                    index.fields.check(id_, document)
                except SearchError as error:
                    item |= {"status": error.status, "error": error.error()}
                    continue
                created = id_ not in live
                live.add(id_)
                versions[id_] = versions.get(id_, 0) + 1 if operation.version is None else operation.version
                wanted[id_] = (operation.source, document)
                item |= {"result": "created" if created else "updated", "status": 201 if created else 200}
            item["_version"] = versions.get(id_, 1)
        gone = [(there[id_][0],) for id_ in wanted if id_ in there]
        if gone:
            self._delete(index, gone)
        new = [(n, id_, *kept) for n, (id_, kept) in enumerate(wanted.items(), index.next) if kept is not None]
        index.next += len(wanted)
        self._db.executemany(
            f"INSERT INTO d{index.number} VALUES (?, ?, ?, ?, ?)",
            [
                (n, id_, versions[id_], document.get("penstock_arrival"), source.decode())
                for n, id_, source, document in new
            ],
        )
        if index.fields.texts:
            self._insert_words(index, ((n, document) for n, _, _, document in new))

    def _delete(self, index: _Index, numbers: Sequence[tuple[int]]) -> None:
        self._db.executemany(f"DELETE FROM d{index.number} WHERE n = ?", numbers)
        if index.fields.texts:
            self._db.executemany(f"DELETE FROM f{index.number} WHERE rowid = ?", numbers)

    def document(self, index: _Index, id_: str) -> dict[str, Any] | None:
        found = self._db.execute(
            f"SELECT version, source FROM d{index.number} WHERE id = ?",
            (id_,),
        ).fetchone()
        return None if found is None else {"_version": found[0], "_source": orjson.loads(found[1])}

    def count(self, index: _Index, query: Mapping[str, Any] | None) -> int:
        asked = compiled(query, index.fields)
        if asked.nothing:
            return 0
        body, parameters = _from(index, asked)
        return int(self._db.execute(f"SELECT count(*) {body}", parameters).fetchone()[0])

    def buckets(self, index: _Index, query: Mapping[str, Any] | None, asked: Composite) -> list[tuple[Any, int]]:
        """Values of the field, ascending, with how many documents have each; documents without one are left out."""
        found = compiled(query, index.fields)
        if found.nothing:
            return []
        # The one field that is a column of its own has an index; a value of any other is looked for in the JSON.
        value, path = ("d.arrival", []) if asked.field == LINEAGE[0] else (_OF_JSON, [f'$."{asked.field}"'])
        found.where.append(f"{value} IS NOT NULL")
        found.parameters += path
        if asked.after is not None:
            found.where.append(f"{value} > ?")
            found.parameters += [*path, asked.after]
        body, parameters = _from(index, found)
        return self._db.execute(
            f"SELECT {value}, count(*) {body} GROUP BY 1 ORDER BY 1 LIMIT ?",
            (*path, *parameters, asked.size),
        ).fetchall()

    def search(self, index: _Index, query: Mapping[str, Any] | None, size: int, start: int) -> list[dict[str, Any]]:
        """The best first. Without words to rank by, in the order of writing, each with a score of 1."""
        asked = compiled(query, index.fields)
        if asked.nothing:
            return []
        body, parameters = _from(index, asked)
        score, order = "1.0", "d.n"
        if asked.match:
            score = f"-bm25(f{index.number}, {', '.join(map(str, asked.weights))})"
            order = "score DESC, d.n"
        found = self._db.execute(
            f"SELECT d.id, {score} AS score, d.version, d.source {body} ORDER BY {order} LIMIT ? OFFSET ?",
            (*parameters, size, start),
        )
        return [
            {"_index": index.name, "_id": id_, "_version": version, "_score": float(rank), "_source": source}
            for id_, rank, version, source in found
        ]

    def delete_by_query(self, index: _Index, query: Mapping[str, Any] | None, most: int) -> int:
        """Deletes at most so many (all: -1) of what the query finds; how many it was."""
        asked = compiled(query, index.fields)
        if asked.nothing:
            return 0
        body, parameters = _from(index, asked)
        numbers = self._db.execute(f"SELECT d.n {body} LIMIT ?", (*parameters, most)).fetchall()
        self._db.execute("BEGIN")
        self._delete(index, numbers)
        self._db.execute("COMMIT")
        return len(numbers)


def _from(index: _Index, query: Query) -> tuple[str, list[Any]]:
    """`FROM … WHERE …` and its parameters. Names are built from numbers of ours; values are parameters."""
    tables = f"FROM d{index.number} AS d"
    where = list(query.where)
    parameters = list(query.parameters)
    if query.match:
        tables += f" JOIN f{index.number} ON f{index.number}.rowid = d.n"
        where.append(f"f{index.number} MATCH ?")
        parameters.append(query.match)
    return f"{tables} WHERE {' AND '.join(where)}" if where else tables, parameters


def _parsed(source: bytes, id_: str) -> Mapping[str, Any]:
    try:
        document = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise SearchError(
            400, "mapper_parsing_exception", f"failed to parse document with id '{id_}'", str(error)
        ) from None
    if not isinstance(document, dict):
        raise SearchError(400, "mapper_parsing_exception", "failed to parse, document is not an object")
    return document
