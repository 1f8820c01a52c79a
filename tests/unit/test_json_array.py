from __future__ import annotations

import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.model import first_bytes, json_array
from penstock.model.errors import BadFileError
from penstock.model.json_array import elements, elements_of_sample

LONGEST = 2**20
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_SPACES = st.sampled_from(["", " ", "\n", "\r\n", "\t\n "])


class Trickle(io.BytesIO):
    """Gives less than it is asked for, as a socket does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 3))


class Long:
    """An array of that many elements that is nowhere whole."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._begun = False

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return b""
        number = min(self._left, max(1, size // 128))
        self._left -= number
        begin, self._begun = b"" if self._begun else b"[", True
        element = b'{"id": 1, "name": "' + b"A" * 100 + b'"}'
        return begin + b",".join([element] * number) + (b"," if self._left else b"]")


@settings(deadline=None, max_examples=150)
@given(values=st.lists(_VALUES, max_size=5), space=_SPACES, ascii_only=st.booleans(), block=st.integers(1, 20))
def test_elements_are_those_of_the_json_module_wherever_a_block_ends(
    values: list[object], space: str, ascii_only: bool, block: int
) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    file = (f"{space}[{space}" + f"{space},{space}".join(texts) + f"{space}]{space}").encode("utf-8", "replace")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(first_bytes, "BLOCK", block)
        patched.setattr(json_array, "BLOCK", block)

        found = [text for _, text in elements(Trickle(file), LONGEST)]

    assert [json.loads(text) for text in found] == json.loads(file)
    assert [text.encode() for text in found] == [text.encode("utf-8", "replace") for text in texts]


def test_an_element_has_the_line_on_which_it_begins() -> None:
    file = b'\n[ {"a":\n1},\n\n{"b": 2}, 7\n, "x"\n]'

    assert [line for line, _ in elements(io.BytesIO(file), LONGEST)] == [2, 5, 5, 6]


@pytest.mark.parametrize("cut", range(1, len(b'[{"a": [1, -2.5e3], "b": "\\u00e9\\n"}, null]')))
def test_a_file_that_is_cut_anywhere_is_said_to_be_cut(cut: int) -> None:
    whole = b'[{"a": [1, -2.5e3], "b": "\\u00e9\\n"}, null]'

    with pytest.raises(BadFileError, match="the JSON array ends early"):
        list(elements(io.BytesIO(whole[:cut]), LONGEST))


def test_memory_does_not_grow_with_the_array() -> None:
    tracemalloc.start()
    try:
        number = sum(1 for _ in elements(Long(100_000), LONGEST))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert number == 100_000
    assert peak < 8 * 2**20


@pytest.mark.parametrize("file", [b'[{"a": "' + b"A" * 3_000_000, b'[{"a": "' + b"A" * 3_000_000 + b'"}]'])
def test_an_element_that_is_too_long_is_refused_before_all_of_it_is_held(file: bytes) -> None:
    with pytest.raises(BadFileError, match="line 1 is longer than 1 MiB"):
        list(elements(io.BytesIO(file), LONGEST))


def test_what_can_be_no_json_is_refused_before_the_longest_row_is_read() -> None:
    stream = io.BytesIO(b'[{"a" 1}' + b" " * 20_000_000)

    with pytest.raises(BadFileError, match="a colon was expected"):
        list(elements(stream, LONGEST * 16))
    assert stream.tell() < 2**20


def test_a_sample_ends_where_it_was_cut() -> None:
    assert list(elements_of_sample('[{"a": 1}, {"a": 2}, {"a"')) == ['{"a": 1}', '{"a": 2}']


def test_a_sample_that_is_no_array_is_refused() -> None:
    with pytest.raises(ValueError, match="a JSON array was expected"):
        list(elements_of_sample('{"a": 1}'))
