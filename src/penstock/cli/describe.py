"""`penstock apply`, `penstock infer` and `penstock schema`: what datasets are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.options import DATASETS, LOCAL, AsJson, DatasetsFolder, OnAws, StackName
from penstock.cli.screen import emit, margin, screen
from penstock.cli.target import deployment
from penstock.model.datasets import Compression, Csv, Format
from penstock.model.errors import BadFileError, PermanentError


def apply(stack: StackName = LOCAL, aws: OnAws = False, as_json: AsJson = False) -> None:
    """Create or check the tables and indexes that the deployed datasets ask for.

    Each deploy does it too; this does it again, by hand, and says what it changed. A table or an index that does not
    fit its dataset any more is named, and left as it is.

    [dim]$ penstock apply
    $ penstock apply --stack ingest-prod --aws[/dim]
    """
    target = deployment(stack, aws=aws)
    with margin().status("applying the datasets …"):
        reply = target.client("lambda").invoke(FunctionName=target.outputs["ApplyDatasetsFunction"], Payload=b"{}")
        answer = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise PermanentError(str(answer.get("errorMessage", answer)))
    did = answer["did"]
    if as_json:
        emit({"did": did})
        return
    console = screen()
    for step in did:
        console.print(f"  {step}", soft_wrap=True)
    if not did:
        console.print("Tables and indexes are as the datasets want them; nothing was changed.")


def infer(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="CSV, JSON Lines or a JSON array, plain, .gz, .zst or .bz2; or .parquet.", exists=True
        ),
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The dataset's name. By default the file's.")] = None,
    delimiter: Annotated[str, typer.Option(metavar="CHAR", help="Between the fields of a CSV; \\t is a tab.")] = ",",
    header: Annotated[bool, typer.Option(metavar="", help="Whether the first line of a CSV names the columns.")] = True,
    null: Annotated[
        list[str] | None, typer.Option("--null", metavar="TEXT", help="A text that means NULL, as NA. May be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe a file: writes a dataset's YAML, with columns and types taken from the file's first MiB, or from a
    Parquet file's schema.

    [dim]$ penstock infer planes.csv --null NA > datasets/planes.yaml[/dim]
    """
    from penstock.model.dataset_files import read_sample
    from penstock.model.dataset_text import dataset_text
    from penstock.model.inference import infer_columns, infer_parquet

    # `format` is what the dataset calls it.
    format = Format.JSONL if {".jsonl", ".ndjson", ".json"} & set(file.suffixes) else Format.CSV
    compression = Compression.by_name(file.name)
    dialect = Csv(delimiter=delimiter.replace("\\t", "\t"), header=header)
    nulls = tuple(null or [""])
    try:
        if file.suffix == ".parquet":
            format = Format.PARQUET
            with file.open("rb") as stream:
                columns = infer_parquet(stream)
        else:
            if format is Format.JSONL and read_sample(file, compression, Format.JSON).lstrip().startswith("["):
                format = Format.JSON
            columns = infer_columns(read_sample(file, compression, format), format, dialect, nulls)
    except (ValueError, BadFileError) as error:
        raise PermanentError(f"{file}: {error}") from None
    if as_json:
        emit([column.model_dump(mode="json", exclude_defaults=True) for column in columns])
    else:
        screen().out(dataset_text(name or file.name.partition(".")[0], format, dialect, nulls, columns), end="")


def schema(
    folder: DatasetsFolder = DATASETS,
    as_json: AsJson = False,
) -> None:
    """Write the JSON Schema that editors complete datasets from: datasets/dataset.schema.json.

    A dataset's first line points to it: # yaml-language-server: $schema=dataset.schema.json

    [dim]$ penstock schema
    $ penstock schema --json | less[/dim]
    """
    from penstock.model.dataset_schema import dataset_schema, write_schema

    if as_json:
        shown: dict[str, Any] = dataset_schema()
        emit(shown)
        return
    path, changed = write_schema(folder)
    screen().print(f"{path} {'is written' if changed else 'was current'}.")
