"""How many rows each file of a COPY of many has brought: sys_load_detail tells lines by file, after the commit.

It is asked when the load has ended, and again by whoever reads a ledger row that was never counted. Redshift says lines
scanned, and nowhere whether a header is one: the counts are taken only where their sum is what the COPY has loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from psycopg import sql

from penstock.adapters.redshift.data_api import DataApi
from penstock.adapters.redshift.ledger import Ledger
from penstock.adapters.redshift.sql_text import format_sql
from penstock.adapters.redshift.staging import copies_prefix
from penstock.model.datasets import Dataset


def count_apart(api: DataApi, ledger: Ledger, dataset: Dataset) -> None:
    waiting: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for arrival, bucket, lineage, total, _ in ledger.uncounted():
        waiting[bucket, lineage, total].append(arrival)
    for (bucket, lineage, total), arrivals in waiting.items():
        where = f"s3://{bucket}/{copies_prefix(lineage)}"
        found = api.query(
            format_sql(
                # A COPY that was undone may have been made again by the same name, and has left its lines there.
                "SELECT TRIM(file_name), MAX(n) FROM (SELECT file_name, query_id, SUM(lines_scanned) AS n"
                " FROM sys_load_detail WHERE file_name LIKE {where} GROUP BY 1, 2) AS by_copy GROUP BY 1",
                where=sql.Literal(f"{where}%"),
            ),
            f"count the rows of COPY {lineage} by file",
        )
        lines = {str(name).removeprefix(where)[:32]: int(count) for name, count in found}
        header = int(dataset.format == "csv" and dataset.csv.header)
        doing = f"write how many rows each file of COPY {lineage} has"
        ended = api.run([ledger.set_rows(lineage, _shares(arrivals, lines, total, header))], doing)
        if ended.status != "FINISHED":
            raise ended.to_raise(doing)


def _shares(arrivals: Sequence[str], lines: Mapping[str, int], total: int, header: int) -> dict[str, int]:
    """Rows by arrival; their sum is `total`, whatever Redshift has counted: then the first has it all."""
    for less in (0, header):
        counts = {arrival: lines.get(arrival, 0) - less for arrival in arrivals}
        if sum(counts.values()) == total and min(counts.values()) >= 0:
            return counts
    return {arrival: total if place == 0 else 0 for place, arrival in enumerate(arrivals)}
