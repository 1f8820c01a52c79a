"""What one listing leaves for the next: what of a dataset was gathered, how fast it may go, how the backlog went.

The listing is the truth. A memo that is lost or makes no sense is as if there were none, and is right again after one
listing; the most that it costs is said at each field.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, ValidationError

STACK = "_stack"
"""The memo of all datasets together: no dataset's name begins with an underscore."""

STEP = timedelta(minutes=5)
_COMPARED = 2
"""The lowest level of five minutes is held against that of so many steps before: runs take big bites."""


class _Memo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` says; nothing when it makes no sense."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return cls()

    def text(self) -> str:
        return self.model_dump_json(exclude_defaults=True)


class DatasetMemo(_Memo):
    since: AwareDatetime | None = None
    """When the oldest file that is being gathered arrived; with `files` and `bytes` for who looks, not for deciding."""
    files: NonNegativeInt = 0
    bytes: NonNegativeInt = 0
    flushed: AwareDatetime | None = None
    """The newest file of the last flush. Lost: what of that had no room is gathered anew, for `after` at most."""
    pace: NonNegativeInt | None = None
    """Files that may be leased at once. Lost: it begins at the dataset's `min_files` again."""
    slowed: AwareDatetime | None = None
    """When the pace was last halved. Lost: runs that began before then may halve it once more."""
    rate: NonNegativeInt = 0
    """Bytes a second that its loads have shown (`penstock.model.huge`). Lost: it is assumed, until the next big one."""
    arrived: AwareDatetime | None = None
    """The newest file ever seen, or when it was first looked for. Lost: silence is counted from now."""


class BacklogMemo(_Memo):
    """How the backlog of all datasets goes, without what waits for its flush."""

    ran: AwareDatetime | None = None
    """When the last run was planned. Lost: the next may come sooner than MinSecondsBetweenRuns."""
    files: NonNegativeInt = 0
    oldest: AwareDatetime | None = None
    moved: AwareDatetime | None = None
    """Since when it has neither become fewer files nor got rid of its oldest. None when there is none."""
    step: AwareDatetime | None = None
    lowest: NonNegativeInt = 0
    """The fewest files since `step` began."""
    before: tuple[NonNegativeInt, ...] = ()
    """The same of the steps before, the last one last."""
    growing: AwareDatetime | None = None
    """Since when each step's lowest level has been above that of ten minutes before."""

    def seen(self, files: int, oldest: datetime | None, now: datetime) -> BacklogMemo:
        """What it is after a listing that saw `files`, of which `oldest` is the oldest one's time."""
        if not files or oldest is None:
            return BacklogMemo(ran=self.ran)
        fell = self.oldest is None or files < self.files or oldest > self.oldest
        changed = self.model_copy(
            update={"files": files, "oldest": oldest, "moved": now if fell or self.moved is None else self.moved}
        )
        if self.step is None:
            return changed.model_copy(update={"step": now, "lowest": files})
        if now - self.step < STEP:
            return changed.model_copy(update={"lowest": min(self.lowest, files)})
        earlier = self.before[-_COMPARED] if len(self.before) >= _COMPARED else 0
        growing = (self.growing or self.step) if self.lowest > earlier else None
        before = (*self.before, self.lowest)[-_COMPARED:]
        return changed.model_copy(update={"step": now, "lowest": files, "before": before, "growing": growing})

    def growing_minutes(self, now: datetime) -> float:
        return _minutes(self.growing, now)

    def stuck_minutes(self, now: datetime) -> float:
        return _minutes(self.moved, now)


def _minutes(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds() / 60) if since else 0.0
