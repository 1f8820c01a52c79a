"""The guard before COPY: what it lets through is what csv reads; what it can't be sure of goes to the row reader."""

from __future__ import annotations

import io

import pytest

from penstock.adapters.postgres.csv_body import CHUNK, UnclearError, csv_body
from penstock.model.datasets import Dataset
from penstock.model.errors import BadFileError
from penstock.model.streams import ByteStream


def _dataset(**csv: object) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "things",
            "prefix": "things/",
            "format": "csv",
            "columns": [{"name": "a", "type": "text"}, {"name": "b", "type": "text", "source": "The\nB"}],
            "table": "things",
            "csv": csv,
        }
    )


class _Drip:
    """One byte at a time, the cruellest of chunks."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, 1))


def _body(data: bytes, dataset: Dataset, stream: ByteStream | None = None) -> tuple[list[str], bytes]:
    columns, chunks = csv_body(stream or io.BytesIO(data), dataset)
    return [column.name for column in columns], b"".join(chunks)


@pytest.mark.parametrize(
    ("data", "names", "rest"),
    [
        (b'"The\nB",a\n1,2\n', ["b", "a"], b"1,2\n"),
        (b'a,"The\nB"\r\n1,2', ["a", "b"], b"1,2"),
        (b'\xef\xbb\xbfa,"The\nB"', ["a", "b"], b""),
    ],
)
def test_the_header_is_taken_off_to_the_byte(data: bytes, names: list[str], rest: bytes) -> None:
    assert _body(data, _dataset()) == (names, rest)


def test_a_header_that_is_not_the_datasets_is_the_files_fault() -> None:
    with pytest.raises(BadFileError, match="column c is not in the dataset"):
        _body(b'a,"The\nB",c\n', _dataset())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        "a,b\n".encode("utf-16"),
        b"a" * (CHUNK + 1),
        b'"a,b\n1,2\n',
        b"\xff,b\n",
    ],
    ids=["empty", "UTF-16", "no end", "open quote", "encoding"],
)
def test_a_header_that_can_not_be_read_is_left_to_the_row_reader(data: bytes) -> None:
    with pytest.raises(UnclearError):
        _body(data, _dataset())


_CLEAN = [
    b'"x","y"\n"","a ""b"" c"\n',
    b'x,"y"\r\n"a, b","c\r\nd"\r\n',
    b'"""x""",""""\n"x"',
    b'"x,",",y"\n",""",",x"\n',
    b"x,y\n5.,6\n",
]
_STRAY = [
    b'5" pipe,y\n6" pipe,y\n',
    b'5"" pipe,y\n',
    b'x,5"\ny,6"\n',
    b'x, "y"\n',
    b'"x"y,z\n',
    b'",""","",x"\n',
    b'"x\n',
    b"x,y\n\\.\nz,z\n",
    b"\\.\n",
    b"x,y\r\\.\r",
]


@pytest.mark.parametrize("data", _CLEAN)
@pytest.mark.parametrize("padding", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_whole_quoted_fields_go_to_copy_wherever_a_chunk_ends(data: bytes, padding: int) -> None:
    padded = b"x" * (CHUNK - 10 - padding) + b",y\n" + data
    dataset = _dataset(header=False)

    assert _body(padded, dataset)[1] == padded


@pytest.mark.parametrize("data", _STRAY)
@pytest.mark.parametrize("padding", [None, 0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_stray_quotes_and_ends_of_data_go_to_the_row_reader(data: bytes, padding: int | None) -> None:
    padded = data if padding is None else b"x" * (CHUNK - 10 - padding) + b",y\n" + data

    with pytest.raises(UnclearError):
        _body(padded, _dataset(header=False))


@pytest.mark.parametrize("data", [*_CLEAN, *_STRAY])
def test_one_byte_at_a_time_is_judged_the_same(data: bytes) -> None:
    lead = b"x" * CHUNK + b",y\n"
    dataset = _dataset(header=False)

    if data in _CLEAN:
        assert _body(b"", dataset, _Drip(lead + data))[1] == lead + data
    else:
        with pytest.raises(UnclearError):
            _body(b"", dataset, _Drip(lead + data))


def test_an_escape_that_is_not_the_quote_is_left_to_the_row_reader() -> None:
    dataset = _dataset(header=False, escape="\\")

    assert _body(b'"x","y"\n', dataset)[1] == b'"x","y"\n'
    for data in (b'"x\\"","y"\n', b'"a""b",c\n', b'"a"""b"",c\n'):
        with pytest.raises(UnclearError):
            _body(data, dataset)


@pytest.mark.parametrize("lead", [b"", b'"'], ids=["no line end", "a quote that never closes"])
def test_a_row_that_never_ends_does_not_reach_the_server_whole(lead: bytes) -> None:
    line = b"x,y\n" if lead else b"x"
    stream = _Counted(lead + line * (40 * 2**20 // len(line)))

    with pytest.raises(UnclearError):
        _body(b"", _dataset(header=False), stream)

    assert stream.read_so_far < 18 * 2**20


class _Counted:
    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    @property
    def read_so_far(self) -> int:
        return self._stream.tell()

    def read(self, size: int, /) -> bytes:
        return self._stream.read(size)
