"""The memos of earlier listings, and those that this one leaves."""

from __future__ import annotations

from dataclasses import replace

from penstock.model.memos import STACK, BacklogMemo, DatasetMemo
from penstock.ports import Leases, Memo


class Remembered:
    """Read once and written once in a listing, and written only where something changed."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._standing = dict(leases.memos())
        self._changed: dict[str, DatasetMemo | BacklogMemo] = {}

    def dataset(self, name: str) -> DatasetMemo:
        changed = self._changed.get(name)
        return changed if isinstance(changed, DatasetMemo) else DatasetMemo.of(self._text(name))

    def backlog(self) -> BacklogMemo:
        changed = self._changed.get(STACK)
        return changed if isinstance(changed, BacklogMemo) else BacklogMemo.of(self._text(STACK))

    def change(self, name: str, memo: DatasetMemo | BacklogMemo) -> None:
        self._changed[name] = memo

    def keep(self) -> None:
        """One that another listing has changed meanwhile stays as that left it: it is as good."""
        for name, memo in self._changed.items():
            if memo.text() != self._text(name):
                self._leases.keep_memo(replace(self._standing.get(name) or Memo(name, ""), text=memo.text()))

    def _text(self, name: str) -> str:
        return self._standing[name].text if name in self._standing else "{}"
