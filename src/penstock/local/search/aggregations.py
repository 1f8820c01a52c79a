"""The one aggregation that Penstock asks for: `composite` over one `terms` source, by which documents are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.local.search.errors import SearchError
from penstock.local.search.fields import Fields

_MOST_BUCKETS = 65_535


@dataclass(frozen=True, slots=True)
class Composite:
    """`name` is the aggregation's, `source` the key's in each bucket; `after` the last key of the page before."""

    name: str
    source: str
    field: str
    size: int
    after: Any


def composite_of(asked: Mapping[str, Any], fields: Fields) -> Composite | None:
    """What a search body asks for; None where it asks for no aggregation. Raises SearchError for any other kind."""
    wanted = asked.get("aggs") or asked.get("aggregations")
    if not wanted:
        return None
    try:
        ((name, body),) = wanted.items()
        ((kind, about),) = body.items()
        ((source, terms),) = about["sources"][0].items()
        field = terms["terms"]["field"]
        single = kind == "composite" and len(about["sources"]) == 1
    except (ValueError, KeyError, AttributeError, IndexError):
        single = False
    if not single:
        raise SearchError(400, "parsing_exception", "this engine has composite aggregations of one terms source alone")
    if fields.properties.get(field, {}).get("type") == "text":
        raise SearchError(
            400,
            "illegal_argument_exception",
            "Text fields are not optimised for operations that require per-document field data like aggregations and "
            f"sorting, so these operations are disabled by default. Please use a keyword field instead of [{field}]",
        )
    size = int(about.get("size", 10))
    if size > _MOST_BUCKETS:
        raise SearchError(400, "too_many_buckets_exception", f"Trying to create too many buckets: {size}")
    return Composite(name, source, field, size, about.get("after", {}).get(source))


def answer_of(asked: Composite, buckets: list[tuple[Any, int]]) -> dict[str, Any]:
    """As OpenSearch answers: `after_key` is there as long as there are buckets, also on the last page."""
    found = [{"key": {asked.source: value}, "doc_count": documents} for value, documents in buckets]
    return {asked.name: {**({"after_key": found[-1]["key"]} if found else {}), "buckets": found}}
