"""Datasets of every kind, and what producers put: good, overwritten, put again, bad."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.faults.schedules.choices import Choices

from penstock.model.datasets import Dataset


def _dataset(name: str, **changes: Any) -> Dataset:
    columns = [{"name": "id", "type": "integer", "required": True}, {"name": "name", "type": "text"}]
    plain = {"prefix": f"{name}/", "format": "csv", "columns": columns, "batch": {"max_files": 2}}
    return Dataset.model_validate({"name": name, **plain, **changes})


DATASETS = {
    dataset.name: dataset
    for dataset in (
        _dataset(
            "replaced",
            table="faults.replaced",
            index="replaced",
            on_overwrite="replace",
            kick_off={"state_machine": "after"},
        ),
        _dataset("appended", table="faults.appended", index="appended", max_reject_ratio=0.5),
        _dataset("refused", table="faults.refused", on_overwrite="refuse"),
        _dataset("searched", index="searched"),
        _dataset("keyed", table="faults.keyed", index={"name": "keyed", "id_columns": ["id"]}, on_overwrite="replace"),
        _dataset("found", index={"name": "found", "id_columns": ["id"]}),
        _dataset(
            "merged",
            columns=[
                {"name": "id", "type": "integer", "required": True},
                {"name": "name", "type": "text", "required": True},
            ],
            table="faults.merged",
            index={"name": "merged", "id_columns": ["id"]},
            upsert={"key": ["id"], "order_by": "name"},
            max_reject_ratio=0.5,
        ),
        _dataset(
            "events",
            table="faults.events",
            index={"name": "events", "id_columns": ["id"]},
            event_id="id",
            max_reject_ratio=0.5,
        ),
    )
}
FOLDERS = (*DATASETS, "unclaimed")
NAMES = ("a", "b")
KEYED = ("keyed", "found")
POISON = b"poison"
"""A file that holds it kills whatever worker loads it, as one that is too much for its memory does."""


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    content: bytes
    modified_at: float


@dataclass(slots=True)
class Producers:
    choices: Choices
    rows: int = 0
    there: dict[str, list[bytes]] = field(default_factory=dict)
    """What was put under each key, oldest first."""

    def next(self) -> tuple[str, bytes]:
        """A key and what to put there; now and then what was put there before."""
        folder = FOLDERS[self.choices.draw(len(FOLDERS))]
        name = NAMES[self.choices.draw(len(NAMES))]
        key = f"incoming/{folder}/{name}.csv"
        earlier = self.there.setdefault(key, [])
        kind = self.choices.draw(8, harmless=0.4)
        content = earlier[-1] if kind in (4, 5) and earlier else self._content(folder, name, kind)
        earlier.append(content)
        return key, content

    def _content(self, folder: str, name: str, kind: int) -> bytes:
        if kind == 1:
            return b""
        if kind == 2:
            return b'id,name\n1,"never closed\n2,two\n'
        many = 1 + self.choices.draw(3)
        lines = [b"id,name"]
        for place in range(many):
            self.rows += 1
            # With declared ids each key has rows of its own, and every version of it has the same.
            number = 100 * NAMES.index(name) + place if folder in KEYED else self.rows
            if folder in ("merged", "events"):  # All its files meet in three keys, often with equals.
                lines.append(b"%d,%d" % (self.choices.draw(3), self.choices.draw(4)))
            else:
                lines.append(b"%d,row %d" % (number, self.rows))
        if kind == 6:
            lines.append(b"%d,%b" % (self.rows + 1000, POISON))
        if kind == 3:
            lines.insert(2, b"x,no number")
        return b"\n".join(lines) + b"\n"
