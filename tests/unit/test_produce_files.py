"""What lines of a file become as events, whole or as it grows."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

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


def test_a_line_without_an_end_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.producer.files._LONGEST_LINE", 100)
    path = tmp_path / "a.jsonl"
    long = b"x" * 1_000
    path.write_bytes(b'{"n": 1}\n' + long + b'\n{"n": 2}\n' + long)

    first, bad, second, end = read_events(path)
    followed = list(follow(path, None, steps(lambda: append(path, 'x\n{"n": 3}\n'))))

    assert events([first, second]) == [{"n": 1}, {"n": 2}]
    assert [(line.number, line.fault) for line in (bad, end)] == [(n, "is longer than 100 bytes") for n in (2, 4)]
    assert [line.number for line in followed] == [1, 2, 3, 4, 5]
    assert events(followed[2:]) == [{"n": 2}, {}, {"n": 3}]


def test_a_compressed_file_that_was_cut_off_says_so_behind_what_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"n": 1}\n' * 100_000)[:-9])
    read = read_events(path)

    assert events([next(read)]) == [{"n": 1}]
    with pytest.raises(PermanentError, match=r"a\.jsonl\.gz is no whole gzip"):
        list(read)


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

    assert events(list(follow(path, None, steps(rotate, anew, lambda: None, cut)))) == [
        {"n": 1},
        {"n": 2},
        {"n": 3},
        {"n": 4},
    ]


def test_following_goes_on_where_the_position_says(tmp_path: Path) -> None:
    path, position = tmp_path / "a.jsonl", tmp_path / "a.position"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    first, behind = follow(path, None, steps())
    keep_position(position, first)

    [second] = follow(path, position, steps())

    assert events([second]) == [{"n": 2}]
    assert second.number == 2
    assert second.event == behind.event, "with the id that it had, should it have been sent"


def test_what_a_rotated_log_got_after_the_last_look_is_read_and_so_is_what_its_writer_was_still_to_write(
    tmp_path: Path,
) -> None:
    path, old = tmp_path / "a.jsonl", tmp_path / "a.jsonl.1"
    path.write_text('{"n": 1}\n')

    def rotate() -> None:
        append(path, '{"n": 2}\n')
        path.rename(old)
        path.write_text('{"n": 4}\n')

    read = list(follow(path, None, steps(rotate, lambda: append(path, '{"n": 5}\n'))))
    assert events(read) == [{"n": 1}, {"n": 2}, {"n": 4}, {"n": 5}]

    def rotate_under_its_writer() -> None:
        with path.open("a") as writer:
            path.rename(old)
            path.write_text('{"n": 7}\n')
            writer.write('{"n": 6}\n')

    read = list(follow(path, None, steps(rotate_under_its_writer, lambda: None)))
    assert events(read) == [{"n": 4}, {"n": 5}, {"n": 6}, {"n": 7}]

    late: list[IO[str]] = []

    def rotate_early() -> None:
        late.append(path.open("a"))
        path.rename(old)
        path.write_text('{"n": 9}\n')

    def write_late() -> None:
        late[0].write('{"n": 8}\n')
        late[0].close()

    read = list(follow(path, None, steps(rotate_early, write_late, lambda: None)))
    assert events(read) == [{"n": 7}, {"n": 8}, {"n": 9}], "in the order in which they were written"


@pytest.mark.parametrize("restarted", [True, False])
def test_a_log_that_begins_anew_with_the_same_line_has_another_event(tmp_path: Path, restarted: bool) -> None:
    path, position = tmp_path / "a.jsonl", tmp_path / "a.position"
    path.write_text('{"start": true}\n{"n": 1}\n')

    def cut() -> None:
        path.write_text('{"start": true}\n')

    def rotate() -> None:
        path.rename(tmp_path / "a.jsonl.1")
        path.write_text('{"start": true}\n')

    read: list[Line] = []
    for change in (cut, rotate):
        if restarted:
            read += follow(path, position if read else None, steps())
            keep_position(position, read[-1])
            change()
        else:
            read += [line for line in follow(path, None, steps(change)) if line not in read]
    read += follow(path, position, steps()) if restarted else []

    ids = [line.event["event_id"] for line in read if line.event]
    assert (len(ids), len(set(ids))) == (4, 4)
    assert [line.fault for line in read if line.fault] == (
        ["was cut, or is another file with its number: what it had behind line 2, if anything, was not sent"]
        if restarted
        else []
    )


def test_a_log_that_was_rotated_while_nobody_followed_is_read_to_its_end_first(tmp_path: Path) -> None:
    path, position, old = tmp_path / "a.jsonl", tmp_path / "a.position", tmp_path / "a.jsonl.1"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    keep_position(position, next(iter(follow(path, None, steps()))))
    path.rename(old)
    path.write_text('{"n": 3}\n{"n": 4}\n')

    assert events(list(follow(path, position, steps()))) == [{"n": 2}, {"n": 3}, {"n": 4}]

    old.unlink()
    gone, *rest = follow(path, position, steps())
    assert "behind line 1, if anything, was not sent" in gone.fault
    assert events(rest) == [{"n": 3}, {"n": 4}]


@pytest.mark.parametrize("restarted", [True, False])
def test_logs_that_came_and_went_between_two_looks_are_read_too_in_their_order(tmp_path: Path, restarted: bool) -> None:
    path, position = tmp_path / "a.jsonl", tmp_path / "a.jsonl.position"
    tmp_path.joinpath("a.jsonl.1").write_text('{"n": 0, "older": true}\n')
    os.utime(tmp_path / "a.jsonl.1", (1, 1))
    path.write_text('{"n": 1}\n{"n": 2}\n')

    def rotate_three_times() -> None:
        append(path, '{"n": 3}\n')
        for n in (4, 5, 6):
            for number in (3, 2, 1):
                if (old := tmp_path / f"a.jsonl.{number}").exists():
                    old.rename(tmp_path / f"a.jsonl.{number + 1}")
            path.rename(tmp_path / "a.jsonl.1")
            path.write_text(f'{{"n": {n}}}\n')
        tmp_path.joinpath("a.jsonl.0.gz").write_bytes(gzip.compress(b'{"n": 7}\n'))

    if restarted:
        first, _ = follow(path, None, steps())
        keep_position(position, first)
        rotate_three_times()
        read = [first, *follow(path, position, steps())]
    else:
        read = list(follow(path, position, steps(rotate_three_times)))

    assert [line.event["n"] for line in read if line.event] == [1, 2, 3, 4, 5, 6]
    assert [line.fault for line in read if line.fault] == [
        "a.jsonl.0.gz is compressed, and was not sent: it was moved away unfollowed"
    ]


@pytest.mark.parametrize("restarted", [True, False])
def test_a_log_that_was_cut_and_is_longer_than_before_at_the_next_look_is_read_from_its_beginning(
    tmp_path: Path, restarted: bool
) -> None:
    path, position = tmp_path / "a.jsonl", tmp_path / "a.position"
    path.write_text('{"n": 1}\n{"n": 2}\n')

    def cut() -> None:
        path.write_text('{"n": 3, "longer": true}\n{"n": 4, "longer": true}\n')

    read = list(follow(path, None, steps(*[] if restarted else [cut])))
    if restarted:
        keep_position(position, read[-1])
        cut()
        cut_off, *rest = follow(path, position, steps())
        assert "behind line 2, if anything, was not sent" in cut_off.fault
        read += rest

    assert [line.event["n"] for line in read if line.event] == [1, 2, 3, 4]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)
