"""The statements of one load, which Redshift runs as one transaction: lock, guard, COPY, rows, ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from penstock.adapters.redshift.ledger import Decision, Ledger, Seen
from penstock.adapters.redshift.read_file import REJECT_COLUMNS
from penstock.adapters.redshift.sql_text import (
    SQL_TYPES,
    copy_files,
    copy_lines,
    copy_parquet,
    format_sql,
    identifier,
    literals,
    names,
    table_of,
)
from penstock.adapters.redshift.staging import FileCopy, Staged
from penstock.adapters.redshift.upsert import FIRST, PLACE, first_of_each, merge
from penstock.model.datasets import Column, ColumnType, Dataset, OnOverwrite

_STAGE = sql.Identifier("penstock_stage")


@dataclass(frozen=True, slots=True)
class Load:
    """`role` is the IAM role that COPY reads S3 with; `bucket` holds what was staged."""

    dataset: Dataset
    ledger: Ledger
    role: str
    bucket: str

    def statements(self, seen: Seen, staged: Staged, decisions: Sequence[Decision], copy: str) -> list[str]:
        copied = bool(staged.copies or staged.read_manifest)
        return [
            *self.ledger.lock_and_guard(seen),
            *(self._copies(staged) if copied else []),
            *(self._rows(staged, decisions, copy) if copied and not self.dataset.row_key else []),
            *self.ledger.decide(decisions),
            *([self.ledger.count_rows(_STAGE, self._shared(staged, copy))] if copied else []),
            *self._counts(staged),
            *(self._merge() if copied else []),
            *(self._rejects(staged) if staged.rejects else []),
        ]

    def _copies(self, staged: Staged) -> list[str]:
        # Typed as the table is, so that COPY judges each value and names file and line of the first that is wrong.
        columns = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name),
                sql.SQL(SQL_TYPES[_staged_as(column)]),
                sql.SQL(" NOT NULL" if column.required else ""),
            )
            for column in self.dataset.columns
        ]
        lineage = sql.SQL("penstock_arrival VARCHAR(32)" + (f", {PLACE} BIGINT" if self.dataset.row_key else ""))
        statements = [
            format_sql(
                "CREATE TEMPORARY TABLE {stage} ({columns})",
                stage=_STAGE,
                columns=sql.SQL(", ").join([*columns, lineage]),
            )
        ]
        json_paths = staged.json_paths if staged.json_paths == "auto" else self._uri(staged.json_paths)
        parquet = [one for one in staged.copies if one.shape.types]
        for number, one in enumerate(parquet):
            statements += self._parquet(one, sql.Identifier(f"penstock_parquet_{number}"))
        if parquet:
            rows = sum(sum(one.rows.values()) for one in parquet)
            # A footer that is wrong: the load fails, and Penstock reads the files.
            statements.append(
                format_sql(
                    "SELECT 1 / CASE WHEN (SELECT COUNT(*) FROM {stage}) = {rows} THEN 1 ELSE 0 END",
                    stage=_STAGE,
                    rows=sql.Literal(rows),
                )
            )
        for one in staged.copies[len(parquet) :]:
            shape, manifest = one.shape, self._uri(one.manifest)
            statements.append(
                copy_files(_STAGE, shape.columns, self.dataset, manifest, self.role, shape.compression, json_paths)
            )
            if self.dataset.on_overwrite is OnOverwrite.REPLACE:
                statements.append(
                    format_sql(
                        "UPDATE {stage} SET penstock_arrival = {id} WHERE penstock_arrival IS NULL",
                        stage=_STAGE,
                        id=sql.Literal(one.lineage),
                    )
                )
        if staged.read_manifest:
            place = [PLACE] if self.dataset.row_key else []
            columns_read = [*(column.name for column in self.dataset.columns), *place, "penstock_arrival"]
            uri = self._uri(staged.read_manifest)
            statements.append(copy_lines(_STAGE, columns_read, uri, self.role, manifest=True))
        return statements

    def _parquet(self, one: FileCopy, into: sql.Identifier) -> list[str]:
        """COPY into a table of the files' own types; from there into the stage, as the dataset's."""
        columns, types = one.shape.columns, one.shape.types
        defined = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name), sql.SQL(type_), sql.SQL(" NOT NULL" if column.required else "")
            )
            for column, type_ in zip(columns, types, strict=True)
        ]
        in_utc = sql.SQL("{} AT TIME ZONE 'UTC'")
        plain = sql.SQL("{}")
        values = [
            (in_utc if column.type is ColumnType.TIMESTAMPTZ else plain).format(sql.Identifier(column.name))
            for column in columns
        ]
        return [
            format_sql("CREATE TEMPORARY TABLE {into} ({of})", into=into, of=sql.SQL(", ").join(defined)),
            copy_parquet(into, self._uri(one.manifest), self.role),
            format_sql(
                "INSERT INTO {stage} ({names}, penstock_arrival) SELECT {values}, {lineage} FROM {of}",
                stage=_STAGE,
                names=names(columns),
                values=sql.SQL(", ").join(values),
                lineage=sql.Literal(one.lineage),
                of=into,
            ),
        ]

    def _counts(self, staged: Staged) -> list[str]:
        """How many rows each of many Parquet files has brought: what the footers say, and that sum was looked at."""
        counts = {arrival: rows for one in staged.copies for arrival, rows in one.rows.items()}
        lineage = self._shared(staged, "")
        return [self.ledger.set_rows(lineage, counts)] if counts and lineage not in counts else []

    def _rows(self, staged: Staged, decisions: Sequence[Decision], copy: str) -> list[str]:
        table = identifier(table_of(self.dataset))
        replaced = [old for decision in decisions for old in decision.outcome.replaced]
        statements = []
        if replaced:
            statements.append(
                format_sql("DELETE FROM {table} WHERE penstock_arrival IN ({ids})", table=table, ids=literals(replaced))
            )
        values = [self._value(column, by_copy=bool(staged.copies)) for column in self.dataset.columns]
        lineage = sql.SQL("COALESCE(penstock_arrival, {})").format(sql.Literal(self._shared(staged, copy)))
        statements.append(
            format_sql(
                "INSERT INTO {table} ({names}, penstock_arrival) SELECT {values} FROM {stage}",
                table=table,
                names=names(self.dataset.columns),
                values=sql.SQL(", ").join([*values, lineage]),
                stage=_STAGE,
            )
        )
        return statements

    def _value(self, column: Column, *, by_copy: bool) -> sql.Composable:
        name = sql.Identifier(column.name)
        if column.type is ColumnType.JSON:
            return sql.SQL("JSON_PARSE({})").format(name)
        value: sql.Composable = name
        if by_copy and column.type is ColumnType.TEXT and self.dataset.format == "csv":
            for marker in self.dataset.null_markers:  # Also where it stood in quotes, which COPY takes for a value.
                value = sql.SQL("NULLIF({}, {})").format(value, sql.Literal(marker))
        return value

    def _merge(self) -> list[str]:
        if self.dataset.upsert:
            return list(merge(self.dataset, self.dataset.upsert, _STAGE))
        if self.dataset.event_id:
            return [*first_of_each(self.dataset, _STAGE), self.ledger.count_repeats(FIRST)]
        return []

    def _rejects(self, staged: Staged) -> list[str]:
        into = sql.Identifier("penstock", "reject")
        return [copy_lines(into, REJECT_COLUMNS, self._uri(staged.rejects), self.role, manifest=False)]

    def _shared(self, staged: Staged, copy: str) -> str:
        return staged.copies[0].lineage if staged.copies else copy

    def _uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


def _staged_as(column: Column) -> ColumnType:
    return ColumnType.TEXT if column.type is ColumnType.JSON else column.type
