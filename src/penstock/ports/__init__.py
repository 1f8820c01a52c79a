"""The seams. A use case knows these Protocols and nothing of what stands behind them.

Adapters raise `TransientError` when the same call may succeed later (of a destination that is down as a whole,
`DestinationDownError`) and `PermanentError` when it can't; they let no client's own exception through. Each has one
contract suite (`tests/contract/`) that its fake and its real adapter pass.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from penstock.model.documents import Document as Document
from penstock.ports.coordination import Attempt as Attempt
from penstock.ports.coordination import Leases as Leases
from penstock.ports.coordination import ListingLease as ListingLease
from penstock.ports.coordination import Memo as Memo
from penstock.ports.coordination import Pipeline as Pipeline
from penstock.ports.coordination import RunRecord as RunRecord
from penstock.ports.coordination import Runs as Runs
from penstock.ports.coordination import RunStatus as RunStatus
from penstock.ports.search import SearchIndex as SearchIndex
from penstock.ports.store import Move as Move
from penstock.ports.store import ObjectStore as ObjectStore
from penstock.ports.store import StoredObject as StoredObject
from penstock.ports.warehouse import LoadProgress as LoadProgress
from penstock.ports.warehouse import MergedRow as MergedRow
from penstock.ports.warehouse import Rebuild as Rebuild
from penstock.ports.warehouse import Warehouse as Warehouse


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, in UTC, with its zone."""
        ...
