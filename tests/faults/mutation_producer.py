"""What keeps a producer from losing events, or giving them up too soon, each with what takes it out."""

from __future__ import annotations

from tests.faults.mutation_kinds import Mutation, Patch

_PRODUCER, _OUTAGES = "penstock.producer.producer", "tests/unit/test_producer_outages.py"
_SPILL, _SPILLED = "penstock.producer.spill", "tests/unit/test_spill.py"
_FILES, _FOLLOWED = "penstock.producer.files", "tests/unit/test_produce_files.py"


def _one(what: str, module: str, old: str, new: str, by: str) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), (by,))


PRODUCER = {
    "full-disk-is-written": _one(
        "what a full disk does not take counts as written",
        "penstock.producer.overflow",
        "            return False\n        return True\n",
        "        return True\n",
        _SPILLED,
    ),
    "refused-write-stays": Mutation(
        "a write that a full disk refused stays before the next one",
        (
            Patch(
                _SPILL, "            os.ftruncate(file.fileno(), segment.size)\n            rest", "            rest"
            ),
            Patch(
                _SPILL, "                    os.ftruncate(file.fileno(), segment.size)\n", "                    pass\n"
            ),
        ),
        (_SPILLED,),
    ),
    "segment-of-the-dead-stays": _one(
        "the segment of a dead process stays when its events are in the stream",
        _SPILL,
        "self._taken.setdefault(name, []).append(segment)",
        "self._taken[name] = [segment]",
        _SPILLED,
    ),
    "patience-with-a-full-stream": _one(
        "patience ends while a full stream takes others",
        _PRODUCER,
        "return max(tried, self._took_last) if verdict.throttled else tried",
        "return tried",
        _OUTAGES + "::test_a_stream_that_is_full_for_long_but_takes_what_it_can_is_never_given_up",
    ),
    "record-of-any-number": _one(
        "a record has as many events as it has bytes for",
        "penstock.producer.lanes",
        "(size > most and events) or len(events) == MOST_SHARED",
        "size > most and events",
        _OUTAGES + "::test_an_aggregated_record_has_no_more_events_than_firehose_takes_apart",
    ),
    "cut-log-unknown": _one(
        "a log that was cut and is longer by now is read on from where the old one was read to",
        _FILES,
        " and (not known or _hash(there) == known)",
        "",
        _FOLLOWED,
    ),
    "logs-between-looks": _one(
        "logs that came and went between two looks are not read",
        _FILES,
        "                yield from JsonLines(path.name, inode=number).read_on(there, growing=False)\n",
        "                continue\n",
        _FOLLOWED,
    ),
    "stopped-at-once": _one(
        "`penstock produce` that is told to stop ends with what it has in memory",
        "penstock.cli.produce",
        "on_term = signal.signal(signal.SIGTERM, _stopped)",
        "on_term = signal.getsignal(signal.SIGTERM)",
        "tests/unit/test_produce_ends.py::test_one_that_is_told_to_stop_leaves_on_disk_what_it_could_not_send",
    ),
}
