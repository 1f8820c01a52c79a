"""From rows to documents: typed JSON, with an id that is a function of arrival and row, or of a declared key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import orjson

from penstock.model.arrivals import Arrival
from penstock.model.datasets import LINEAGE, ColumnType, Dataset, DateOrder
from penstock.model.dates import TIMES, year_first
from penstock.model.outcomes import Reject
from penstock.model.rows import Row

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOLEANS = {
    **dict.fromkeys(("t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"), True),
    **dict.fromkeys(("f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"), False),
}


NO_JSON = "it is no JSON, or is nested too deep; mend it, or make the column text"


@dataclass(frozen=True, slots=True)
class Document:
    """`source` is the document's JSON; `line` is where its row begins in the file, for a reject to name.

    `version` says which of two documents of one id stands, in whichever order they are written: that of the greater
    one, and of equal ones the later. 0 is none: whatever is there gives way.
    """

    id: str
    source: bytes
    line: int
    raw: str = ""
    version: int = 0


_DEEP = 250
"""Brackets from which on it is tried whether orjson can write the value: it nests 254, and readers of documents not
many more."""

MakeDocument = Callable[[int, Row], Document | Reject]
"""Called with a row's ordinal in its file, from 0, every row counted; a Reject for a row that can be no document."""


def document_maker(dataset: Dataset, arrival: Arrival, loaded_at: datetime) -> MakeDocument:
    """What makes the documents of one arrival. The dataset has an index.

    A field is null where the row's value is. There is one judge of values. Without a table it is the index: a value
    that is not of its column's type is left as it is, and the reason is the index's own. JSON alone, which an index
    does not look into, is judged here. With a table it is the warehouse, which takes some that no index does (`NaN`,
    `Jan 5, 2023`): the row is loaded, so it has its document, with null in that field. The documents of rows that the
    warehouse refuses are taken out at settling.
    """
    columns = dataset.document_columns
    places = {column.name: place for place, column in enumerate(dataset.columns)}
    names = [column.name for column in columns]
    wanted = [places[name] for name in names]
    in_order = wanted == list(range(len(dataset.columns)))
    converters = [
        (place, convert)
        for place, column in enumerate(columns)
        if (convert := _converter(column.type, dataset.date_order)) is not None
    ]
    required = [(places[column.name], column.name) for column in dataset.columns if column.required]
    all_columns = tuple(range(len(dataset.columns)))
    required_values = _taker([place for place, _ in required])
    take = _taker(all_columns if in_order else wanted)
    lenient = [(place, _LENIENT[column.type]) for place, column in enumerate(columns)] if dataset.table else []
    identify, version = _identity(dataset, arrival), version_of(dataset, arrival)
    tail = b"," + orjson.dumps({LINEAGE[0]: arrival.id, LINEAGE[1]: loaded_at})[1:]

    def make(ordinal: int, row: Row) -> Document | Reject:
        if row.error:
            return rejected(row, row.error)
        if None in required_values(row.values):
            missing = next(name for place, name in required if row.values[place] is None)
            return rejected(row, f"column {missing} is required, and it is null here", missing)
        values = list(take(row.values))
        for place, convert in converters:
            value = values[place]
            if isinstance(value, str):
                try:
                    values[place] = convert(value)
                except ValueError:
                    if columns[place].type is ColumnType.JSON:  # No index looks into it.
                        if not lenient:
                            return rejected(row, NO_JSON, columns[place].name)
                        values[place] = None
        for place, fit in lenient:
            if values[place] is not None and not isinstance(values[place], _KEPT[columns[place].type]):
                values[place] = fit(values[place])
        fields = dict(zip(names, values, strict=True))
        try:
            source = orjson.dumps(fields)
        except orjson.JSONEncodeError:
            try:
                source = orjson.dumps({name: _writable(value) for name, value in fields.items()})
            except orjson.JSONEncodeError:
                if lenient:
                    source = orjson.dumps({name: _shallow(value) for name, value in fields.items()})
                    return Document(identify(ordinal, row), source[:-1] + tail, row.line, row.raw, version)
                return rejected(row, "a value is nested too deep to be written as JSON; mend it")
        return Document(identify(ordinal, row), source[:-1] + tail, row.line, row.raw, version)

    return make


def version_of(dataset: Dataset, arrival: Arrival) -> int:
    """When S3 took the arrival, in ms, where another arrival's document can have the same id; else 0."""
    shared = dataset.table is None or (dataset.index is not None and dataset.index.id_columns)
    return (arrival.modified - _EPOCH) // timedelta(milliseconds=1) if shared else 0


def rejected(of: Row | Document, reason: str, column: str = "") -> Reject:
    """The reject of a row, or of a document that the index refused. Its text is without its line end, and cut."""
    return Reject(of.line, column, reason, of.raw.rstrip("\r\n")[: Reject.MAX_RAW])


def ids_on_lines(dataset: Dataset, arrival: Arrival, rows: Iterable[Row], lines: frozenset[int]) -> Iterator[str]:
    """The ids of the documents whose rows begin on those lines: what the load ledger rejected and the index took."""
    identify = _identity(dataset, arrival)
    for ordinal, row in enumerate(rows):
        if row.line in lines and not row.error:
            yield identify(ordinal, row)


def _identity(dataset: Dataset, arrival: Arrival) -> Callable[[int, Row], str]:
    """Declared id columns: a hash of their values, as typed. Else the arrival's id and the row's ordinal.

    Without a table there is no load ledger that would know a file put again, so the id is of the content there: the
    same bytes under the same key make the same documents.
    """
    index = dataset.index
    if index is not None and index.id_columns:
        by_name = {column.name: (place, column.type) for place, column in enumerate(dataset.columns)}
        keys = [
            (place, _converter(type_, dataset.date_order))
            for place, type_ in (by_name[name] for name in index.id_columns)
        ]

        def of_key(_ordinal: int, row: Row) -> str:
            return blake2b(orjson.dumps([_typed(row.values[at], to) for at, to in keys]), digest_size=16).hexdigest()

        return of_key
    base = arrival.id
    if dataset.table is None:
        name = "\0".join((arrival.bucket, arrival.key, arrival.etag, str(arrival.size)))
        base = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return lambda ordinal, _row: f"{base}-{ordinal}"


def _typed(value: Any, convert: Callable[[str], Any] | None) -> Any:
    if convert is None or not isinstance(value, str):
        return _writable(value)
    try:
        return _writable(convert(value))
    except ValueError:
        return value


def _writable(value: Any) -> Any:
    """An integer beyond 64 bits, which orjson does not write, as its text."""
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _taker(places: Iterable[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """`itemgetter`, also for one place and for none."""
    wanted = tuple(places)
    if len(wanted) > 1:
        return itemgetter(*wanted)
    return lambda values: tuple(values[place] for place in wanted)


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0.0:  # JSON has neither NaN nor infinities, and an index takes none.
        raise ValueError(text)
    return number


def _numeric(text: str) -> Any:
    """All its digits, which a float would not keep; within a double's range, as an index compares it."""
    number = _finite(text)
    return orjson.Fragment(text) if _JSON_NUMBER.fullmatch(text) else number


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def _timestamp(text: str) -> datetime:
    """Without its zone, as PostgreSQL reads a `timestamp`."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _converter(type_: ColumnType, order: DateOrder) -> Callable[[str], Any] | None:
    convert = _CONVERTERS.get(type_)
    if convert is None or type_ not in TIMES:
        return convert

    def in_order(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            return convert(year_first(text, order))

    return in_order


def _json(text: str) -> Any:
    value = orjson.loads(text)
    if text.count("[") + text.count("{") > _DEEP:
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError:
            raise ValueError(text) from None
    return orjson.Fragment(text)


_CONVERTERS: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.SMALLINT: int,
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.NUMERIC: _numeric,
    ColumnType.REAL: _finite,
    ColumnType.DOUBLE: _finite,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.DATE: date.fromisoformat,
    ColumnType.TIMESTAMP: _timestamp,
    ColumnType.TIMESTAMPTZ: datetime.fromisoformat,
    ColumnType.UUID: str.lower,
    ColumnType.JSON: _json,
}


def _shallow(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _writable(value) if isinstance(value, int) else None
    return value


def _nothing(_value: Any) -> None:
    return None


def _truth(value: Any) -> bool | None:
    return bool(value) if value in (0, 1) else None


def _words(value: Any) -> str | None:
    """As the warehouse keeps it: the JSON of what is no text."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None


_ANY = (object,)
_KEPT: dict[ColumnType, tuple[type, ...]] = {
    **dict.fromkeys((ColumnType.SMALLINT, ColumnType.INTEGER, ColumnType.BIGINT), (int,)),
    **dict.fromkeys((ColumnType.REAL, ColumnType.DOUBLE), (int, float)),
    ColumnType.NUMERIC: (int, float, orjson.Fragment),
    ColumnType.BOOLEAN: (bool,),
    ColumnType.DATE: (date,),
    ColumnType.TIMESTAMP: (datetime,),
    ColumnType.TIMESTAMPTZ: (datetime,),
    ColumnType.UUID: (str,),
    ColumnType.JSON: _ANY,
    ColumnType.TEXT: (str,),
}
"""What an index takes for a field of that type."""
_LENIENT: dict[ColumnType, Callable[[Any], Any]] = {
    **dict.fromkeys(ColumnType, _nothing),
    ColumnType.BOOLEAN: _truth,
    ColumnType.TEXT: _words,
}
"""What the document holds where the value is something else, of a row that the warehouse may take all the same."""
