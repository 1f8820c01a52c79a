"""Counts what a mapping hands over of a shard, and says from which record on it has to come again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.flows.count_events import Counted, count_events
from penstock.model.errors import PenstockError, TransientError
from penstock.model.stream_events import EventFields, Poison, StreamRecord, end_of
from penstock.ports.counts import Counts


@dataclass(frozen=True, slots=True)
class Processed:
    counted: Counted | None
    """None when it stopped in the middle."""
    again: str = ""
    """The sequence number of the first record that is not counted whole; empty when all are."""
    trouble: str = ""


def process_stream(
    counts: Counts,
    put_aside: Callable[[Sequence[Poison]], None],
    shard: str,
    records: Sequence[StreamRecord],
    fields: EventFields,
    now: datetime,
    window: timedelta,
) -> Processed:
    """Poison is put aside, so nothing of the batch waits for it. `records` are one shard's, in order, at least one.

    What may pass is answered by the record at which the shard stands: the mapping tries again from there on, and should
    it give up, what it gives up is what nobody has counted. An error that nobody expected is raised when nothing was
    counted, since any record may be at fault: the mapping halves the batch until that one is alone.
    """
    try:
        return Processed(count_events(counts, put_aside, shard, records, fields, now, window))
    except Exception as error:
        first = _first_uncounted(counts, shard, records)
        if first == records[0].sequence and not isinstance(error, TransientError):
            raise
        # Another error's text may quote the record.
        return Processed(None, first, str(error) if isinstance(error, PenstockError) else type(error).__name__)


def _first_uncounted(counts: Counts, shard: str, records: Sequence[StreamRecord]) -> str:
    """The first record of all where nobody can say."""
    try:
        upto = counts.watermark(shard)
    except PenstockError:
        return records[0].sequence
    return next((record.sequence for record in records if end_of(record) > upto), "")
