"""Options that most commands share, so that they read alike everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

StackName = Annotated[str, typer.Option("--stack", metavar="NAME", help="Which stack.", rich_help_panel="Where")]
OnAws = Annotated[
    bool,
    typer.Option(
        "--aws",
        metavar="",
        help="The stack is a CloudFormation stack of your AWS account and region, not one of this laptop.",
        rich_help_panel="Where",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Write JSON to stdout, and nothing else.")]
DatasetsFolder = Annotated[
    Path, typer.Option("--datasets", metavar="FOLDER", help="Where the datasets' YAML files are.")
]


class Search(StrEnum):
    """What serves the search index of a stack on this laptop; the names are `search_node.KINDS`' and EMBEDDED."""

    embedded = "embedded"
    opensearch = "opensearch"
    elasticsearch = "elasticsearch"


SearchKind = Annotated[
    Search,
    typer.Option(
        "--search",
        help="A stand-in on SQLite, or a real node: OpenSearch 2.19 or Elasticsearch 7.10. Those need java and mvn.",
    ),
]


class Warehouse(StrEnum):
    """What serves the tables of a stack on this laptop."""

    postgres = "postgres"
    redshift = "redshift"


WarehouseKind = Annotated[
    Warehouse,
    typer.Option("--warehouse", help="A real PostgreSQL, or a stand-in for Redshift's Data API on it."),
]

LOCAL = "local"
WAREHOUSE = Warehouse.postgres
SEARCH = Search.embedded
DATASETS = Path("datasets")
