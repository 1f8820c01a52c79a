"""One file of a batch, under its own savepoint: what it replaces, COPY, and the repair where COPY refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import psycopg
from psycopg import sql

from penstock.adapters.postgres.clean_csv import copy_csv
from penstock.adapters.postgres.clean_json import copy_json
from penstock.adapters.postgres.clean_parquet import copy_parquet
from penstock.adapters.postgres.column_types import identifier, table_of
from penstock.adapters.postgres.connection import Session, milliseconds
from penstock.adapters.postgres.csv_body import UnclearError
from penstock.adapters.postgres.errors import is_row_fault, words
from penstock.adapters.postgres.judge import Judge
from penstock.adapters.postgres.ledger import Earlier, Ledger
from penstock.adapters.postgres.repair import Repaired, TooManyRejectsError, repair
from penstock.adapters.postgres.upsert import create_stage, merge
from penstock.model.arrivals import Arrival
from penstock.model.compression import decompressed
from penstock.model.datasets import Dataset, Format, OnOverwrite
from penstock.model.errors import BadFileError
from penstock.model.outcomes import LoadOutcome, Verdict
from penstock.model.streams import ByteStream

_COPY = {Format.CSV: copy_csv, Format.JSONL: copy_json, Format.JSON: copy_json, Format.PARQUET: copy_parquet}

_TOO_DEEP = "54001"
"""statement_too_complex: the server's stack is at its end."""


class Files(Protocol):
    """Of an object store, or of what stands before one."""

    def open(self, arrival: Arrival) -> AbstractContextManager[ByteStream]: ...


@dataclass(frozen=True, slots=True)
class FileLoader:
    session: Session
    ledger: Ledger
    judge: Judge
    dataset: Dataset
    files: Files

    def load(self, arrival: Arrival, earlier: Sequence[Earlier]) -> LoadOutcome:
        """What became of it; `earlier` are the arrivals of the same key whose rows are in the table.

        Raises what is not the file's own fault: psycopg's errors, and TransientError where its stream breaks off.
        """
        if any((old.etag, old.size) == (arrival.etag, arrival.size) for old in earlier):
            return LoadOutcome(Verdict.DUPLICATE)
        if earlier and self.dataset.on_overwrite is OnOverwrite.REFUSE:
            return LoadOutcome(
                Verdict.QUARANTINED,
                reason=f"key {arrival.key} was loaded before with other content (arrival {earlier[-1].arrival}), and "
                f"dataset {self.dataset.name} says on_overwrite: refuse. Send it under a new key",
            )
        if arrival.retry and self.dataset.on_overwrite is OnOverwrite.REPLACE:
            # Else versions of a key are worked in order; a retry alone can come after those that were put later.
            later = [one for one in earlier if one.modified >= arrival.modified]
            if later:
                return LoadOutcome(
                    Verdict.QUARANTINED,
                    reason=f"a later version of {arrival.key} is loaded (arrival {later[-1].arrival}), and dataset "
                    f"{self.dataset.name} says on_overwrite: replace: this older one would take its place. There is "
                    "nothing to do, or send it anew",
                )
        replaced = [old.arrival for old in earlier] if self.dataset.on_overwrite is OnOverwrite.REPLACE else []
        try:
            loaded = self._rows_of(arrival, replaced)
        except TooManyRejectsError as error:
            self.ledger.keep_rejects(arrival, error.kept)
            return LoadOutcome(Verdict.QUARANTINED, rejects=error.rejects, reason=str(error))
        except BadFileError as error:
            return LoadOutcome(Verdict.QUARANTINED, reason=str(error))
        return LoadOutcome(
            Verdict.LOADED, loaded.rows, loaded.rejects, replaced=tuple(replaced), repeats=loaded.repeats
        )

    def _rows_of(self, arrival: Arrival, replaced: Sequence[str]) -> Repaired:
        connection = self.session.connection
        copy = _COPY[self.dataset.format]
        compression = self.dataset.compression_of(arrival.key)
        try:
            with connection.transaction(), self.files.open(arrival) as stream:
                self._begin(arrival, replaced)
                body = decompressed(stream, compression, self.dataset.limits)
                return self._merged(arrival, Repaired(copy(self.session, body, self.dataset), 0))
        except UnclearError:
            pass
        except psycopg.Error as error:
            if not is_row_fault(error):
                raise
        try:
            with connection.transaction(), self.files.open(arrival) as stream:
                self._begin(arrival, replaced)
                body = decompressed(stream, compression, self.dataset.limits)
                return self._merged(arrival, repair(self.session, self.judge, body, self.dataset, arrival))
        except psycopg.Error as error:
            if not is_row_fault(error):
                raise
            if error.sqlstate == _TOO_DEEP:
                raise BadFileError("a row holds JSON that is nested too deep to be read. Mend the file") from None
            # Its rows fit the dataset's types, so it is a constraint or a trigger of the table that stands against one.
            raise BadFileError(
                f"table {table_of(self.dataset).qualified} refuses a row of it: {words(error)}. "
                "Mend the file, or change the table"
            ) from None

    def _begin(self, arrival: Arrival, replaced: Sequence[str]) -> None:
        """The rows' lineage, by the column's default; and what they take the place of, gone with this savepoint."""
        self.session.connection.execute(
            "SELECT set_config('penstock.arrival', %s, true), set_config('statement_timeout', %s, true),"
            " set_config('DateStyle', %s, true)",
            (arrival.id, milliseconds(self.session.check()), f"ISO, {self.dataset.date_order.upper()}"),
        )
        if self.dataset.row_key:
            self.session.connection.execute(create_stage(self.dataset))
        if replaced:
            self.session.connection.execute(
                sql.SQL("DELETE FROM {} WHERE penstock_arrival = ANY(%s::uuid[])").format(
                    identifier(table_of(self.dataset))
                ),
                (list(replaced),),
            )

    def _merged(self, arrival: Arrival, loaded: Repaired) -> Repaired:
        """`loaded` says what is in the stage, where there is one."""
        if not self.dataset.row_key:
            return loaded
        written = merge(self.session, self.dataset, arrival)
        return replace(loaded, rows=written, repeats=loaded.rows - written) if self.dataset.event_id else loaded
