"""Segments on disk: what is taken comes in the order in which it was written, whatever came back meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.producer import Event, encode
from penstock.producer.overflow import Overflow
from penstock.producer.spill import Spill


@pytest.fixture
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spill:
    """Each event that is written is a segment."""
    monkeypatch.setattr("penstock.producer.spill.SEGMENT", 1)
    return Spill(tmp_path)


def event(n: int) -> Event:
    return encode({"n": n, "event_id": f"{n}"}, "k")


def rest(spill: Spill) -> list[str]:
    found = []
    while len(spill):
        taken = spill.take()
        spill.gone(taken)
        found += [one.id for one in taken]
    return found


@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_taken_and_comes_back_is_before_what_waits(spill: Spill, tmp_path: Path, restarted: bool) -> None:
    for n in range(4):
        spill.append([event(n)])
    first, second = spill.take(), spill.take()
    spill.put_back(second)
    spill.gone(second)
    spill.put_back(first)
    spill.gone(first)

    if restarted:
        spill.close()
        spill = Spill(tmp_path)

    assert rest(spill) == ["0", "1", "2", "3"]
    assert list(tmp_path.iterdir()) == []


def test_what_was_taken_by_a_process_that_died_is_there_for_the_next(spill: Spill, tmp_path: Path) -> None:
    spill.append([event(0)])
    spill.append([event(1)])
    spill.take()
    spill.close()

    assert rest(Spill(tmp_path)) == ["0", "1"]


def test_an_event_that_lies_in_two_segments_keeps_neither_when_it_is_gone(spill: Spill, tmp_path: Path) -> None:
    spill.append([event(0)])
    spill.append([event(0), event(1)])

    taken = [*spill.take(), *spill.take()]
    spill.gone(taken)

    assert [one.id for one in taken] == ["0", "0", "1"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_full_disk_does_not_take_stays_behind_what_lies_there(
    spill: Spill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    overflow = Overflow("clicks", spill, room=10**6)
    for one in (event(0), encode({"event_id": "other"}, "another")):
        assert overflow.write([one], "a test")
    overflow.park(event(1))
    monkeypatch.setattr("penstock.producer.spill.os.fsync", full)

    assert overflow.write_parked() == ()
    assert not overflow.write([event(2)], "a test")
    taken, parked = overflow.take()
    assert ([one.id for one in taken], parked) == (["0"], ())
    assert overflow.holds("k"), "or the next event of the key would overtake what is parked"
    taken, parked = overflow.take()
    assert [one.id for one in (*taken, *parked)] == ["other", "1"]
    assert not overflow.holds("k")


def test_a_write_that_a_full_disk_refused_is_not_read_in_the_place_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    spill = Spill(tmp_path)
    spill.append([event(0)])
    with monkeypatch.context() as patched:
        patched.setattr("penstock.producer.spill.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            spill.append([event(1)])

    spill.append([event(2)])

    assert rest(spill) == ["0", "2"]


def test_a_segment_of_which_nothing_was_written_whole_is_none(spill: Spill, tmp_path: Path) -> None:
    spill.append([event(0)])
    spill.close()
    tmp_path.joinpath("spill-001000000002.jsonl").write_bytes(b'{"key": "k", "li')
    tmp_path.joinpath("spill-001000000003.jsonl").touch()

    assert rest(Spill(tmp_path)) == ["0"]
    assert list(tmp_path.iterdir()) == []
