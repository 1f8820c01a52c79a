"""What a load's COPYs read, written to S3 below `plans/copies/<copy>/` under keys that no producer can write to.

COPY knows keys and no versions: a key below incoming/ may hold another version by the time that it is read. So each
version is copied, by S3 itself, to a key of its own; the bucket's rule for plans/ removes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from penstock.adapters.redshift.look import Shape, look
from penstock.adapters.redshift.read_file import FileReader
from penstock.model.arrivals import PLANS, Arrival
from penstock.model.datasets import Dataset, Format, OnOverwrite
from penstock.model.errors import BadFileError, PermanentError, ReaderMissingError
from penstock.model.outcomes import LoadOutcome, Verdict
from penstock.ports import Move, ObjectStore

COPIES = 12
"""COPYs of producers' files in one transaction, at two statements each; forty statements are all it may have."""

PARQUET_COPIES = 7
"""The same of Parquet files, at three statements each, and two more."""


def copies_prefix(copy: str) -> str:
    return f"{PLANS}copies/{copy}/"


@dataclass(frozen=True, slots=True)
class FileCopy:
    """One COPY of producers' files. `lineage` is what its rows carry: the arrival's id, where it is but one. `rows` are
    those of each Parquet file, by arrival id.
    """

    shape: Shape
    manifest: str
    arrivals: tuple[Arrival, ...]
    lineage: str
    rows: Mapping[str, int]


@dataclass(slots=True)
class Staged:
    """Outcomes are by arrival id; those of `copies` are not there, for COPY alone will tell. Manifests are keys."""

    copies: list[FileCopy] = field(default_factory=list)
    outcomes: dict[str, LoadOutcome] = field(default_factory=dict)
    read_manifest: str = ""
    rejects: str = ""
    json_paths: str = "auto"
    unreadable: list[PermanentError] = field(default_factory=list)
    """The store's errors: a version that is gone, most likely."""


@dataclass(frozen=True, slots=True)
class Staging:
    """`read` are the ids of arrivals that Penstock has to read itself; None: all of them, and strictly."""

    dataset: Dataset
    store: ObjectStore
    copy: str
    read: AbstractSet[str] | None

    def stage(self, arrivals: Sequence[Arrival]) -> Staged:
        staged = Staged()
        groups: dict[str | Shape, list[Arrival]] = defaultdict(list)
        shapes: dict[str | Shape, Shape] = {}
        by_hand: list[Arrival] = []
        rows: dict[str, int] = {}
        alone = self.dataset.on_overwrite is OnOverwrite.REPLACE
        for arrival in arrivals:
            try:
                shape = look(arrival, self.dataset, self.store)
            except ReaderMissingError:
                raise
            except PermanentError as error:
                staged.outcomes[arrival.id] = LoadOutcome(Verdict.QUARANTINED, reason=str(error))
                if not isinstance(error, BadFileError):
                    staged.unreadable.append(error)
                continue
            if shape is None or self.read is None or arrival.id in self.read or self.dataset.row_key:
                by_hand.append(arrival)
            else:
                group: str | Shape = arrival.id if alone else shape
                groups[group].append(arrival)
                shapes[group] = shape
                rows[arrival.id] = shape.rows
        largest = sorted(groups, key=lambda group: -sum(arrival.size for arrival in groups[group]))
        most = PARQUET_COPIES if self.dataset.format is Format.PARQUET else COPIES
        for group in largest[most:]:
            by_hand += groups[group]
        self._copy(staged, [(shapes[group], groups[group]) for group in largest[:most]], rows)
        self._read(staged, by_hand)
        return staged

    def _copy(self, staged: Staged, groups: Sequence[tuple[Shape, list[Arrival]]], rows: Mapping[str, int]) -> None:
        to = {arrival.id: self._key(arrival) for _, arrivals in groups for arrival in arrivals}
        self.store.copy([Move(arrival, to[arrival.id]) for _, arrivals in groups for arrival in arrivals])
        one = len(to) == 1 or self.dataset.on_overwrite is OnOverwrite.REPLACE
        for number, (shape, arrivals) in enumerate(groups):
            manifest = f"{copies_prefix(self.copy)}manifest-{number}.json"
            self._manifest(manifest, [(arrival, to[arrival.id], arrival.size) for arrival in arrivals])
            lineage = arrivals[0].id if one else self.copy
            counts = {arrival.id: rows[arrival.id] for arrival in arrivals if shape.types}
            staged.copies.append(FileCopy(shape, manifest, tuple(arrivals), lineage, counts))
        if groups and self.dataset.format is Format.JSONL and any(column.source for column in self.dataset.columns):
            paths = [f"$[{_quoted(column.in_file)}]" for column in self.dataset.columns]
            staged.json_paths = f"{copies_prefix(self.copy)}jsonpaths.json"
            self.store.put_json(staged.json_paths, {"jsonpaths": paths})

    def _read(self, staged: Staged, arrivals: Sequence[Arrival]) -> None:
        written: list[tuple[Arrival, str, int]] = []
        readers: list[tuple[FileReader, bool]] = []
        for arrival in arrivals:
            to = f"{copies_prefix(self.copy)}{arrival.id}-rows.jsonl"
            reader = FileReader(arrival, self.dataset, self.store, strict=self.read is None)
            outcome = reader.read(to)
            staged.outcomes[arrival.id] = outcome
            if outcome.verdict is Verdict.LOADED and outcome.rows:
                written.append((arrival, to, reader.size))
            if outcome.rejects:
                readers.append((reader, outcome.verdict is Verdict.LOADED))
        if written:
            staged.read_manifest = f"{copies_prefix(self.copy)}manifest-rows.json"
            self._manifest(staged.read_manifest, written)
        if readers:
            staged.rejects = f"{copies_prefix(self.copy)}rejects.jsonl"
            lines = (line for reader, loaded in readers for line in reader.rejects(all_of_them=loaded))
            self.store.put_lines(staged.rejects, lines)

    def _key(self, arrival: Arrival) -> str:
        """Short: sys_load_error_detail cuts a file's name at 256 characters."""
        return f"{copies_prefix(self.copy)}{arrival.id}"

    def _manifest(self, key: str, files: Sequence[tuple[Arrival, str, int]]) -> None:
        """`mandatory`, or COPY skips what is missing and says nothing; `content_length` is what Parquet wants."""
        entries = [
            {"url": f"s3://{arrival.bucket}/{to}", "mandatory": True, "meta": {"content_length": size}}
            for arrival, to, size in files
        ]
        self.store.put_json(key, {"entries": entries})


def _quoted(name: str) -> str:
    """A JSON path's name in brackets."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
