"""What keeps events whole on their way through the stream's doors and its dead letters, each with what takes it out."""

from __future__ import annotations

from tests.faults.mutation_kinds import Mutation, Patch

_PACK, _PACKED = "penstock.flows.pack_messages", "tests/unit/test_pack_messages.py"
_MESSAGE = "penstock.model.messages"
_ARCHIVE, _ARCHIVED = "penstock.local.archive", "tests/unit/test_local_archive.py"
_EVENT, _EVENTS = "penstock.model.stream_events", "tests/unit/test_stream_events.py"
_LETTERS, _REDRIVEN = "penstock.local.dead_letters", "tests/unit/test_stream_letters.py"
_TABLE, _COUNTS = "penstock.adapters.dynamodb_counts", "tests/contract/test_counts_contract.py"
_ONCE = "tests/contract/test_event_id_contract.py"


def _one(what: str, module: str, old: str, new: str, by: str) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), (by,))


DOORS = {
    # ── messages of a queue ─────────────────────────────────────────────────────────────────────────────────────────
    "acknowledged-before-the-object": _one(
        "messages are acknowledged though their object was refused",
        _PACK,
        "    store.put_lines(key, (line for _, line in ordered))\n",
        "    try:\n        store.put_lines(key, (line for _, line in ordered))\n    except Exception:\n        pass\n",
        _PACKED,
    ),
    "refused-messages-acknowledged": _one(
        "a message that is no event is acknowledged",
        "penstock.message_batch",
        '[{"itemIdentifier": id_} for id_ in again]',
        "[]",
        _PACKED,
    ),
    "order-of-clocks": _one(
        "a FIFO queue's messages are in the order of their clocks",
        _PACK,
        "one[0].place, one[0].sent",
        "one[0].sent",
        _PACKED,
    ),
    "window-overwrites-window": _one(
        "two windows of a second are one object",
        _MESSAGE,
        "blake2b(ids.encode(), digest_size=16).hexdigest()",
        '""',
        _PACKED,
    ),
    "window-twice": _one(
        "the same messages in another order are another object",
        _MESSAGE,
        "sorted(message.id for message in packed)",
        "[message.id for message in packed]",
        _PACKED,
    ),
    "message-without-id": _one(
        "a message without an event's id stays without one",
        _MESSAGE,
        "if EVENT_ID not in found:",
        "if False:",
        _PACKED,
    ),
    "message-of-many-lines": _one(
        "a message that is written on many lines is many lines",
        _MESSAGE,
        ".translate(_ON_ONE_LINE)",
        "",
        _PACKED,
    ),
    # ── the laptop's archive ────────────────────────────────────────────────────────────────────────────────────────
    "archive-without-newlines": _one(
        "an event without a newline runs into the next",
        _ARCHIVE,
        'self._gathered.append(data + b"\\n")',
        "self._gathered.append(data)",
        _ARCHIVED,
    ),
    "archive-lets-go-first": _one(
        "what was gathered is let go before its object is there",
        _ARCHIVE,
        '        body = gzip.compress(b"".join(self._gathered), 1)\n',
        '        body = gzip.compress(b"".join(self._gathered), 1)\n        self._gathered, self._size = [], 0\n',
        _ARCHIVED,
    ),
    "archive-elsewhere": _one(
        "the archive is not below incoming/",
        _ARCHIVE,
        "{INCOMING}{self.prefix}",
        "{self.prefix}",
        _ARCHIVED,
    ),
    "archive-from-the-end": _one(
        "a shard that a split made is read from its end",
        _ARCHIVE,
        '"ShardIteratorType": "TRIM_HORIZON"',
        '"ShardIteratorType": "LATEST"',
        _ARCHIVED,
    ),
    # ── an event once in the table ──────────────────────────────────────────────────────────────────────────────────
    "events-replaced": _one(
        "an event's repeat takes its row's place",
        "penstock.adapters.postgres.upsert",
        'update if dataset.upsert else sql.SQL("NOTHING")',
        'update if dataset.upsert else sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(changed))',
        _ONCE,
    ),
    "events-of-a-file-twice": _one(
        "on Redshift an event that a load has twice is two rows",
        "penstock.adapters.redshift.upsert",
        '" AND ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY l.modified, s.penstock_arrival, s.{place}) = 1"',
        '""',
        _ONCE,
    ),
    "repeats-uncounted": _one(
        "repeats are counted as rows",
        "penstock.adapters.postgres.load_file",
        "replace(loaded, rows=written, repeats=loaded.rows - written) if self.dataset.event_id else loaded",
        "loaded",
        _ONCE,
    ),
    # ── what wants to do harm, and dead letters ─────────────────────────────────────────────────────────────────────
    "a-letter-a-line": _one(
        "each line of a document that is none has a letter of its own",
        _EVENT,
        "if poison and size + len(raw) > LONGEST_RAW:",
        "if poison:",
        _EVENTS,
    ),
    "days-that-are-over": _one(
        "a time that UTC has not kills the worker",
        _EVENT,
        "except (ValueError, OverflowError):",
        "except ValueError:",
        _EVENTS,
    ),
    "endless-ids": _one(
        "an id is as long as it likes",
        _EVENT,
        "if len(value) > longest:",
        "if False:",
        _EVENTS,
    ),
    "endless-types": _one(
        "each type that comes has counts of its own",
        _TABLE,
        "if kind in self._there or len(self._there) < self._most_types:",
        "if True:",
        _COUNTS,
    ),
    "years-of-three-digits": _one(
        "early years are written as strftime has them",
        _TABLE,
        'minute.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="minutes") + "Z"',
        "minute.astimezone(UTC).strftime(_MINUTE)",
        _COUNTS,
    ),
    "letters-in-unicode": _one(
        "a letter holds characters that SQS refuses",
        "penstock.adapters.sqs_poison",
        '            "raw": raw,\n        }\n',
        '            "raw": raw,\n        }, ensure_ascii=False\n',
        "tests/unit/test_process_stream.py",
    ),
    "forgotten-counted-again": _one(
        "what was counted and forgotten is put into the stream unasked",
        _LETTERS,
        "if letter.doubt and not may_count_twice:",
        "if False:",
        _REDRIVEN,
    ),
    "redrive-in-a-circle": _one(
        "a redrive takes the letters that it makes",
        _LETTERS,
        "in list(_received(deployment, most)):",
        "in _received(deployment, most):",
        _REDRIVEN,
    ),
    "refused-letter-ends-all": _one(
        "a redrive ends at a letter that AWS does not take again",
        _LETTERS,
        '            left.append(replace(letter, then=f"it was not sent again: {refused}", redrive=None))\n'
        "            continue\n",
        "            raise refused\n",
        "tests/unit/test_dead_letters.py",
    ),
    "letter-deleted-first": _one(
        "a letter is gone though it could not be sent again",
        _LETTERS,
        "            left.append(replace(letter, then=str(gone), redrive=None))\n            continue\n",
        "            left.append(replace(letter, then=str(gone), redrive=None))\n",
        _REDRIVEN,
    ),
}
