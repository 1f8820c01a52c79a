from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.flows.set_aside import REASON, REJECTS, companion_key
from penstock.model.arrivals import FAILED, MAX_KEY_BYTES, PROCESSED, Arrival, arrival_id_of, settled_key

CHARACTERS = st.characters(exclude_categories=["Cs"])


def cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", "ignore")


# A key as S3 takes it: up to 1,024 bytes of any characters, folders and endings among them.
RESTS = st.builds(
    lambda parts, times: cut("".join(parts) * times, MAX_KEY_BYTES - len("incoming/flights/")),
    st.lists(
        st.one_of(st.text(CHARACTERS, max_size=20), st.sampled_from(["/", ".", "..", ".csv.gz", " ", "%2F", "\n"]))
    ),
    st.integers(1, 100),
)
DATASETS = st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)


def arrival(rest: str, version: str = "v1") -> Arrival:
    return Arrival("landing", f"incoming/flights/{rest}", version, 1, "e", datetime(2026, 1, 15, tzinfo=UTC))


@given(RESTS, DATASETS, st.sampled_from([PROCESSED, FAILED]))
@example("x" * 1007, "f" * 63, PROCESSED)
@example("é" * 503, "f" * 63, PROCESSED)
@example("/" * 1007, "f", FAILED)
@example("a/" + "." * 1000, "f", FAILED)
def test_a_settled_key_is_one_that_s3_takes_and_tells_its_arrival(rest: str, dataset: str, root: str) -> None:
    one = arrival(rest)

    key = settled_key(root, dataset, "flights/", one)

    assert len(key.encode()) <= MAX_KEY_BYTES
    assert key.startswith(f"{root}{dataset}/")
    assert arrival_id_of(key) == one.id


@given(RESTS, RESTS, DATASETS)
def test_settled_keys_of_two_arrivals_are_two(left: str, right: str, dataset: str) -> None:
    arrivals = {one.id: one for one in (arrival(left), arrival(right), arrival(left, "v2"))}

    keys = {settled_key(PROCESSED, dataset, "flights/", one) for one in arrivals.values()}

    assert len(keys) == len(arrivals)


@given(RESTS, DATASETS)
@example("x" * 1007, "f" * 63)
def test_what_stands_beside_a_failed_file_has_keys_that_s3_takes(rest: str, dataset: str) -> None:
    one = arrival(rest)
    keys = [companion_key(one, dataset, "flights/", ending) for ending in (REJECTS, REASON)]

    assert all(len(key.encode()) <= MAX_KEY_BYTES for key in keys)
    assert all(one.id in key for key in keys)
    assert len({*keys, settled_key(FAILED, dataset, "flights/", one)}) == 3


@pytest.mark.parametrize("key", ["processed/flights/a.csv", "processed/flights/", "", "processed/x/" + "g" * 32 + "-a"])
def test_a_key_of_someone_elses_carries_no_arrival(key: str) -> None:
    with pytest.raises(ValueError, match="no arrival id"):
        arrival_id_of(key)
