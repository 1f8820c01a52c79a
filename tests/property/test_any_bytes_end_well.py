"""Whatever bytes a file holds: it is loaded and rejected row by row, or quarantined with a reason. Nothing else."""

from __future__ import annotations

import gzip
import io
import itertools
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.conftest import Postgres
from tests.contract.warehouses import PostgresKit, dataset_of, load
from tests.fakes.object_store import FakeObjectStore

from penstock.model.compression import decompressed
from penstock.model.datasets import Compression, Dataset, Format
from penstock.model.errors import BadFileError
from penstock.model.outcomes import LoadOutcome, Verdict
from penstock.model.rows import rows

Loaded = Callable[[Dataset, str, bytes], LoadOutcome]

_PIECES = st.sampled_from(
    [
        *(
            b"1",
            b",",
            b'"',
            b"\n",
            b"\r",
            b"\r\n",
            b"\\",
            b"\\.",
            b"\0",
            b"\xff",
            b"\xef\xbb\xbf",
            b"{",
            b"}",
            b"[",
            b"]",
        ),
        b'{"id": 1}\n',
        b'"id":',
        b"1e400",
        b"NaN",
        b'"\\ud800"',
        b'"\\u0000"',
        b"id,name,delay\n",
        b" ",
        b"\x1f\x8b\x08",
    ]
)
_BYTES = st.lists(_PIECES | st.binary(max_size=6), max_size=30).map(b"".join)
_HEADS = st.sampled_from([b"", b"id,name,delay\n", b'{"id": 1}\n', b'[{"id": 1}'])
_BODIES = _HEADS.flatmap(lambda head: _BYTES.map(head.__add__))
_NUMBERS = itertools.count(1)
_COLUMNS = [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}, {"name": "delay", "type": "numeric"}]
_settings = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def datasets(postgres: Postgres) -> list[Dataset]:
    kit = PostgresKit(postgres.owner, postgres.loader)
    made = [
        dataset_of(columns, format=format_, max_reject_ratio=0.99)
        for format_ in Format
        for columns in (_COLUMNS, _COLUMNS[:2])
    ]
    for dataset in made:
        kit.apply(dataset)
    kit.close()
    return made


@pytest.fixture(scope="module")
def loaded(postgres: Postgres) -> Iterator[Loaded]:
    kit = PostgresKit(postgres.owner, postgres.loader)

    def load_file(dataset: Dataset, name: str, data: bytes) -> LoadOutcome:
        store = FakeObjectStore(bucket=f"fuzz-{next(_NUMBERS)}")
        arrival = store.put(f"incoming/{dataset.prefix}{name}", data)
        neighbour = store.put(f"incoming/{dataset.prefix}good", _good(dataset))
        outcomes = load(kit.warehouse, dataset, store, arrival, neighbour)
        assert outcomes[neighbour.id] == LoadOutcome(Verdict.LOADED, rows=1)
        return outcomes[arrival.id]

    yield load_file
    kit.close()


def _good(dataset: Dataset) -> bytes:
    if dataset.format is Format.JSONL:
        return b'{"id": 1}\n'
    if dataset.format is Format.JSON:
        return b'[{"id": 1}]'
    return ",".join(column.name for column in dataset.columns).encode() + b"\n1" + b"," * (len(dataset.columns) - 1)


def _read(dataset: Dataset, data: bytes, compression: Compression) -> int | str:
    """The rows that the row reader finds, or why it refuses the file."""
    try:
        return sum(1 for _ in rows(decompressed(io.BytesIO(data), compression), dataset))
    except BadFileError as refused:
        return str(refused)


@_settings
@given(number=st.integers(0, 5), data=_BODIES, packed=st.booleans(), cut=st.none() | st.integers(0, 60))
@example(number=0, data=b"id,name,delay\n1,a\x00,2\n", packed=False, cut=None)
@example(number=4, data=b'[{"id": 1, "delay": 1e400}, {}]', packed=True, cut=None)
@example(number=2, data=b'{"id": 1, "delay": 1e400}\n', packed=True, cut=None)
def test_rows_are_loaded_or_rejected_or_the_file_has_a_reason(
    loaded: Loaded, datasets: list[Dataset], number: int, data: bytes, packed: bool, cut: int | None
) -> None:
    dataset = datasets[number]
    file = gzip.compress(data, mtime=0) if packed else data
    file = file if cut is None else file[:cut]
    found = _read(dataset, file, Compression.GZIP if packed else Compression.NONE)

    outcome = loaded(dataset, "a.gz" if packed else "a", file)

    if isinstance(found, str):
        # The fast path may name another fault of a file that has several.
        assert (outcome.verdict, outcome.rows, outcome.rejects) == (Verdict.QUARANTINED, 0, 0)
        assert outcome.reason
    elif outcome.verdict is Verdict.LOADED:
        assert outcome.rows + outcome.rejects == found
    else:
        assert outcome.rejects
        assert "rejected" in outcome.reason


@settings(max_examples=15, deadline=None)
@given(piece=st.binary(min_size=1, max_size=40), packed=st.booleans())
def test_memory_does_not_grow_with_what_a_file_unpacks_to(piece: bytes, packed: bool) -> None:
    dataset = dataset_of(limits={"max_row": "1 MiB"})
    body = b"id,name,delay\n" + piece * (6_000_000 // len(piece))
    file = gzip.compress(body, 1) if packed else body
    tracemalloc.start()
    try:
        _read(dataset, file, Compression.GZIP if packed else Compression.NONE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < len(file) + 60 * 2**20
