"""The protections that make a stream's counts exact and tell an episode once, each with what takes it out."""

from __future__ import annotations

from tests.faults.mutation_kinds import Mutation, Patch

_SCHEDULES = "tests/streams/test_counts_equal_the_truth.py"
_CONTRACT = "tests/contract/test_counts_contract.py"
_FLOW = "penstock.flows.count_events"
_WATCH, _TELLING = "penstock.flows.watch_rate", "tests/unit/test_watch_rate.py"
_EPISODES = "tests/property/test_episodes.py"
_ANSWER = "penstock.flows.process_stream"
_TABLE = "penstock.adapters.dynamodb_counts"
_ADD = "more = counts.add(shard, after, upto, tallies, ids, remembered)"


def _one(what: str, module: str, old: str, new: str, by: str = _SCHEDULES) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), (by,))


STREAMS = {
    "watermark-unread": _one(
        "a batch that comes again is counted from its beginning",
        _FLOW,
        "ahead = [line for line in waiting if line[0] > after]",
        "ahead = waiting",
    ),
    "watermark-unconditional": _one(
        "the watermark moves wherever it stands, in the counts that the schedules have",
        "tests.fakes.counts",
        "if self.watermark(shard) != after:",
        "if False:",
    ),
    "watermark-unconditional-on-dynamodb": _one(
        "the watermark moves wherever it stands, in DynamoDB",
        _TABLE,
        '                "ConditionExpression": there,\n                "ExpressionAttributeValues": packed(values),',
        '                "ExpressionAttributeValues": packed({":upto": str(upto)}),',
        _CONTRACT,
    ),
    "watermark-apart": _one(
        "counts and watermark are two writes, the counts first",
        _FLOW,
        _ADD,
        _ADD.replace("upto", "after") + "\n        more or counts.add(shard, after, upto, {}, [], remembered)",
    ),
    "watermark-first": _one(
        "counts and watermark are two writes, the watermark first",
        _FLOW,
        _ADD,
        "counts.add(shard, after, upto, {}, [], remembered)\n"
        "        after = upto\n        " + _ADD.replace("upto", "after"),
    ),
    "watermark-of-records": _one(
        "the watermark knows records and not their lines",
        _FLOW,
        "yield Position(int(record.sequence), number), line",
        "yield Position(int(record.sequence), 0), line",
    ),
    "watermark-of-all": _one(
        "all shards have one watermark",
        _FLOW,
        "    after = counts.watermark(shard)",
        '    shard = "all"\n    after = counts.watermark(shard)',
    ),
    "watermark-passes-what-is-refused": _one(
        "a chunk that is refused is left out, and the next one goes on from it",
        _FLOW,
        "        new, writes = _add(counts, shard, after, upto, events, now + window if window else None)\n",
        "        try:\n"
        "            new, writes = _add(counts, shard, after, upto, events, now + window if window else None)\n"
        "        except Exception:\n            after = counts.watermark(shard)\n            continue\n",
    ),
    "poison-after-the-watermark": _one(
        "poison is put aside when the watermark has passed it",
        _FLOW,
        "        if poison:\n            put_aside(poison)\n            counted.poison += len(poison)\n"
        "        upto = chunk[-1][0]\n"
        "        events = [line for _, line in chunk if isinstance(line, StreamEvent)]\n"
        "        new, writes = _add(counts, shard, after, upto, events, now + window if window else None)\n",
        "        upto = chunk[-1][0]\n"
        "        events = [line for _, line in chunk if isinstance(line, StreamEvent)]\n"
        "        new, writes = _add(counts, shard, after, upto, events, now + window if window else None)\n"
        "        if poison:\n            put_aside(poison)\n            counted.poison += len(poison)\n",
    ),
    "ids-forgotten": _one(
        "an id that was counted before counts again, in DynamoDB",
        _TABLE,
        '                "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",\n'
        '                "ExpressionAttributeValues": packed({":now": int(self._clock.now().timestamp())}),\n',
        "",
        _CONTRACT,
    ),
    "repeats-hold-the-chunk": _one(
        "a chunk with an id that was counted before is taken for done",
        _FLOW,
        "        if not more:\n            return len(new), writes\n        known |= more",
        "        return len(new), writes",
    ),
    "again-from-the-last": _one(
        "the mapping is told the highest of the records that are not counted",
        _ANSWER,
        'return next((record.sequence for record in records if end_of(record) > upto), "")',
        "return records[-1].sequence",
    ),
    "again-after-half-a-record": _one(
        "a record of which some lines are counted does not come again",
        _ANSWER,
        "if end_of(record) > upto",
        "if int(record.sequence) > upto.sequence",
    ),
    "trouble-is-done": _one(
        "a batch that was stopped by trouble is answered as done",
        _ANSWER,
        "return Processed(None, first, ",
        'return Processed(None, "", ',
    ),
    # ── episodes of a rate ─────────────────────────────────────────────────────────────────────────────────────────
    "both-judges-tell": _one(
        "of two that judge at once both tell",
        _WATCH,
        "            if not watches.write(rate.name, judged):\n                continue  # Another has judged them.\n",
        "            watches.write(rate.name, judged)\n",
        _EPISODES,
    ),
    "told-beside-another": _one(
        "what another is telling is told beside him",
        _WATCH,
        "if watch.telling_until and clock.now() < watch.telling_until:",
        "if False:",
        _TELLING,
    ),
    "untold-forgotten": _one(
        "what a dead teller left untold is never told",
        _WATCH,
        "        if watch.untold:\n",
        "        if False:\n",
        _TELLING,
    ),
    "watch-unconditional-on-dynamodb": _one(
        "of two that judge at once both write, in DynamoDB",
        "penstock.adapters.dynamodb_watches",
        'how = {"ConditionExpression": "version = :version", "ExpressionAttributeValues": values}',
        "how = {}",
        "tests/contract/test_watches_contract.py",
    ),
    "watched-among-the-others": _one(
        "a type that is watched has no counts of its own when there is no room for more types",
        _WATCH,
        "        counts.expect(rate.type)\n",
        "",
        _TELLING,
    ),
    "judged-at-once": _one(
        "a window is judged before its late events have come",
        _WATCH,
        "rate.begin(as_of - rate.late)",
        "rate.begin(as_of)",
        _TELLING,
    ),
}
