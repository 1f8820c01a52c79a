"""What listings remember of datasets that gather, have a pace, or expect files: as of the last listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from penstock.model.datasets import Dataset
from penstock.model.memos import DatasetMemo
from penstock.model.pacing import pace_of
from penstock.ports import Memo


@dataclass(frozen=True)
class Rhythm:
    """Of one dataset; None is what it does not ask for, or what is not so now."""

    dataset: str
    gathered: int | None = None
    """Files that wait for their flush, of `flush_files`; `gathered_bytes` of `flush_bytes`."""
    flush_files: int | None = None
    gathered_bytes: int | None = None
    flush_bytes: int | None = None
    flush_by: datetime | None = None
    """When what is gathered goes at the latest."""
    pace: int | None = None
    """Files that live runs may lease together, of `most`."""
    most: int | None = None
    slowed: datetime | None = None
    """When the pace was last halved."""
    silent_since: datetime | None = None
    """The last file's time, where none has come for longer than `expect_every`."""

    def to_json(self) -> dict[str, Any]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
            if value is not None
        }


def rhythms(datasets: Mapping[str, Dataset], memos: Mapping[str, Memo], now: datetime) -> Iterator[Rhythm]:
    """Of each dataset that has `flush`, `pace` or `expect_every`, in their order."""
    for name, dataset in datasets.items():
        flush, pace, every = dataset.flush, dataset.pace, dataset.expect_every
        if not (flush or pace or every):
            continue
        memo = DatasetMemo.of(memos[name].text) if name in memos else DatasetMemo()
        silent = every and memo.arrived and now - memo.arrived > every
        yield Rhythm(
            dataset=name,
            gathered=memo.files if flush else None,
            flush_files=flush.files if flush else None,
            gathered_bytes=memo.bytes if flush else None,
            flush_bytes=flush.bytes if flush else None,
            flush_by=memo.since + flush.after if flush and memo.files and memo.since else None,
            pace=pace_of(pace, memo) if pace else None,
            most=pace.max_files if pace else None,
            slowed=memo.slowed if pace else None,
            silent_since=memo.arrived if silent else None,
        )
