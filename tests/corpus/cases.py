"""All cases. To add one: put a `Case` into the file of its kind, then `python -m tests.corpus` for the page."""

from __future__ import annotations

from tests.corpus import of_arrays, of_compression, of_csv, of_indexes, of_json, of_keys, of_parquet, of_text, of_values
from tests.corpus.case import Case

KINDS: dict[str, tuple[Case, ...]] = {
    "Compression": of_compression.CASES,
    "Text": of_text.CASES,
    "CSV": of_csv.CASES,
    "JSON Lines": of_json.CASES,
    "JSON arrays": of_arrays.CASES,
    "Parquet": of_parquet.CASES,
    "Values": of_values.CASES,
    "Keys": of_keys.CASES,
    "An index alone": of_indexes.CASES,
}
CASES = tuple(case for cases in KINDS.values() for case in cases)
