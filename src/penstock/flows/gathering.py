"""Which datasets wait for more files before theirs are worked (`flush`), and which have been silent for too long.

Asked of each listing anew: what is in `incoming/` decides, so that a memo that is lost delays nothing beyond `after`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from penstock.flows.backlog import Backlog
from penstock.flows.remembering import Remembered
from penstock.model.datasets import Dataset
from penstock.model.limits import Flush


def is_ripe(flush: Flush, due: Backlog, flushed: datetime | None, now: datetime) -> bool:
    """Whether what is `due` goes now. What was part of the last flush and had no room does not wait again."""
    if due.oldest is None:
        return False
    return (
        due.files >= flush.files
        or due.bytes >= flush.bytes
        or now - due.oldest >= flush.after
        or (flushed is not None and due.oldest <= flushed)
    )


def gather(
    datasets: Mapping[str, Dataset], due: Mapping[str, Backlog], remembered: Remembered, now: datetime
) -> frozenset[str]:
    """The datasets whose files wait for more. `due` are those that could be planned, by dataset."""
    waiting: set[str] = set()
    for name, dataset in datasets.items():
        if dataset.flush is None:
            continue
        here, memo = due[name], remembered.dataset(name)
        if is_ripe(dataset.flush, here, memo.flushed, now):
            changed = {"since": None, "files": 0, "bytes": 0, "flushed": here.newest}
        else:
            changed = {"since": here.oldest, "files": here.files, "bytes": here.bytes}
            if here.files:
                waiting.add(name)
        remembered.change(name, memo.model_copy(update=changed))
    return frozenset(waiting)


def silent(
    datasets: Mapping[str, Dataset], backlog: Mapping[str, Backlog], remembered: Remembered, now: datetime
) -> Mapping[str, bool]:
    """Of each dataset that says how often it expects files, whether none has come for longer than that."""
    found: dict[str, bool] = {}
    for name, dataset in datasets.items():
        if dataset.expect_every is None:
            continue
        memo, newest = remembered.dataset(name), backlog[name].newest
        # What was put back is older than what has come since and is settled already.
        arrived = max((one for one in (memo.arrived, newest) if one), default=now)
        found[name] = now - arrived > dataset.expect_every
        remembered.change(name, memo.model_copy(update={"arrived": arrived}))
    return found
