from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.model.ledger_text import as_text, key_of, key_text

# Of any characters, and often of those that an escape is made of.
KEYS = st.text(st.one_of(st.sampled_from("\0\\x0ud8"), st.characters(categories=["Cs"]), st.characters()))


@given(KEYS)
@example("nul\0")
@example("nul\\x00")
@example("nul\\\\x00")
@example("\\\0")
@example("\ud800")
@example("\\ud800")
def test_a_key_is_known_again_by_its_text_so_that_no_two_have_the_same(key: str) -> None:
    assert key_of(key_text(key)) == key


@given(KEYS)
def test_a_warehouse_takes_the_text(key: str) -> None:
    for text in (key_text(key), as_text(key)):
        assert "\0" not in text
        text.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\\")))
def test_a_key_of_other_characters_is_its_own_text(key: str) -> None:
    assert key_text(key) == key
