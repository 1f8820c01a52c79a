"""Documents in SQLite, below their indices. One connection, one thread: the app calls it from a single worker."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from penstock.local.search.aggregations import Composite
from penstock.local.search.errors import SearchError
from penstock.local.search.indices import Index, Indices
from penstock.local.search.queries import Query, compiled
from penstock.model.datasets import LINEAGE

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


class Store:
    """All of the engine's state, in a file or (`:memory:`) in memory."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # A power cut may cost the file; it is rebuilt from processed/, as any index is.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;")
        self.indices = Indices(self._db)

    def close(self) -> None:
        self._db.close()

    def bulk(self, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        """Does them in one transaction, in their order; an item each, as OpenSearch answers."""
        items: list[dict[str, Any]] = [{}] * len(operations)
        by_index: dict[str, list[int]] = {}
        for place, operation in enumerate(operations):
            by_index.setdefault(operation.index, []).append(place)
        self._db.execute("BEGIN")
        try:
            for name, places in by_index.items():
                index = self.indices.index(name) if self.indices.has(name) else self.indices.create(name, {})
                self._write(index, operations, places, items)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return items

    def _write(
        self, index: Index, operations: Sequence[Operation], places: Sequence[int], items: list[dict[str, Any]]
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
                        self.indices.put_mapping(index, {"properties": grown})
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
            self.indices.add_words(index, ((n, document) for n, _, _, document in new))

    def _delete(self, index: Index, numbers: Sequence[tuple[int]]) -> None:
        self._db.executemany(f"DELETE FROM d{index.number} WHERE n = ?", numbers)
        if index.fields.texts:
            self._db.executemany(f"DELETE FROM f{index.number} WHERE rowid = ?", numbers)

    def document(self, index: Index, id_: str) -> dict[str, Any] | None:
        found = self._db.execute(
            f"SELECT version, source FROM d{index.number} WHERE id = ?",
            (id_,),
        ).fetchone()
        return None if found is None else {"_version": found[0], "_source": orjson.loads(found[1])}

    def count(self, index: Index, query: Mapping[str, Any] | None) -> int:
        asked = compiled(query, index.fields)
        if asked.nothing:
            return 0
        body, parameters = _from(index, asked)
        return int(self._db.execute(f"SELECT count(*) {body}", parameters).fetchone()[0])

    def buckets(self, index: Index, query: Mapping[str, Any] | None, asked: Composite) -> list[tuple[Any, int]]:
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

    def search(self, index: Index, query: Mapping[str, Any] | None, size: int, start: int) -> list[dict[str, Any]]:
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

    def delete_by_query(self, index: Index, query: Mapping[str, Any] | None, most: int) -> int:
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


def _from(index: Index, query: Query) -> tuple[str, list[Any]]:
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
