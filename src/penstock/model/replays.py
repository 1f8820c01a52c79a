"""What a replay knows of an arrival, and how a rebuilt table compares with the live one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Known:
    """What the load ledger keeps of an arrival that it decided at `decided`."""

    arrival: str
    key: str
    version_id: str
    etag: str
    size: int
    modified: datetime
    decided: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """An arrival whose rows are not the same in both tables: how many either has."""

    arrival: str
    key: str
    live: int
    rebuilt: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences` are of replayed arrivals, the first hundred of `differing`; rows are told apart by their values.

    `only_live` and `only_rebuilt` count rows of those hundred that the other table has not. `beyond` are arrivals with
    rows in the live table that were not replayed, and `beyond_rows` those rows. `columns` are what was compared.
    """

    live_rows: int
    rebuilt_rows: int
    differing: int
    differences: tuple[Difference, ...]
    only_live: int
    only_rebuilt: int
    beyond: int
    beyond_rows: int
    columns: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Row for row, and nothing in the live table is missing from the rebuilt one."""
        return not self.differing and not self.beyond

    def to_json(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "live_rows": self.live_rows,
            "rebuilt_rows": self.rebuilt_rows,
            "differing_arrivals": self.differing,
            "differences": [
                {"arrival": one.arrival, "key": one.key, "live": one.live, "rebuilt": one.rebuilt}
                for one in self.differences
            ],
            "rows_only_live": self.only_live,
            "rows_only_rebuilt": self.only_rebuilt,
            "arrivals_not_replayed": self.beyond,
            "rows_not_replayed": self.beyond_rows,
            "columns": list(self.columns),
        }
