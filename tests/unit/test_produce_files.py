"""What lines of a file become as events, whole or as it grows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.model.errors import PermanentError
from penstock.producer.files import Line, follow, keep_position, read_events


def events(lines: list[Line]) -> list[object]:
    return [{key: value for key, value in (line.event or {}).items() if key != "event_id"} for line in lines]


def test_json_lines_become_events_with_ids_that_the_same_file_gives_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n\n{"n": 1}\n{"event_id": "own", "n": 2}')

    first, again = list(read_events(path)), list(read_events(path))

    assert events(first) == [{"n": 1}, {"n": 1}, {"n": 2}]
    ids = [(line.event or {})["event_id"] for line in first]
    assert ids == [(line.event or {})["event_id"] for line in again]
    assert len(set(ids)) == 3
    assert ids[2] == "own"


def test_a_compressed_csv_is_read_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress('\ufeffuser,page\nü,"/a\nb"\nlost\n'.encode()))

    good, bad = read_events(path)

    assert events([good]) == [{"user": "ü", "page": "/a\nb"}]
    assert (bad.number, bad.event) == (4, None)
    assert "2 columns of the header" in bad.fault


@pytest.mark.parametrize(("text", "said"), [("{", "is no JSON"), ("[1]", "no JSON object"), ("\x00", "is no JSON")])
def test_a_line_that_is_no_event_says_why_and_the_next_is_read(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{text}\n{{"n": 1}}\n')

    bad, good = read_events(path)

    assert said in bad.fault
    assert events([good]) == [{"n": 1}]


def test_a_csv_that_ends_within_quotes_says_after_which_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a\n1\n"2\n')

    with pytest.raises(PermanentError, match="after line"):
        list(read_events(path))


def steps(*changes: Callable[[], object]) -> Callable[[], bool]:
    """At each idle moment the next of them; then it is enough."""
    left = list(changes)

    def idle() -> bool:
        if not left:
            return True
        left.pop(0)()
        return False

    return idle


def test_a_file_is_followed_as_it_grows_and_half_a_line_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n{"n": ')

    def grow() -> None:
        with path.open("a") as file:
            file.write('2}\n{"n": 3}\n')

    assert events(list(follow(path, None, steps(grow)))) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_file_that_is_rotated_or_cut_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n')

    def rotate() -> None:
        path.rename(tmp_path / "a.jsonl.1")

    def anew() -> None:
        path.write_text('{"n": 2}\n{"n": 3}\n')

    def cut() -> None:
        path.write_text('{"n": 4}\n')

    assert events(list(follow(path, None, steps(rotate, anew, cut)))) == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]


def test_following_goes_on_where_the_position_says(tmp_path: Path) -> None:
    path, position = tmp_path / "a.jsonl", tmp_path / "a.position"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    first, _ = read_events(path)
    keep_position(path, position, first)

    [second] = follow(path, position, steps())

    assert events([second]) == [{"n": 2}]
    assert second.number == 2
