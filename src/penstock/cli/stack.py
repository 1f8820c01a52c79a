"""`penstock up` and `penstock down`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.options import LOCAL, SEARCH, WAREHOUSE, AsJson, SearchKind, StackName, WarehouseKind
from penstock.cli.screen import NOTHING, emit, lasting, margin, screen
from penstock.cli.target import option
from penstock.model.errors import PermanentError


def up(
    stack: StackName = LOCAL,
    datasets: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the datasets' YAML files are, if not the clone's own.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The template to deploy, if not the clone's own.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the template.")
    ] = None,
    search: SearchKind = SEARCH,
    warehouse: WarehouseKind = WAREHOUSE,
    as_json: AsJson = False,
) -> None:
    """Start a whole stack on this laptop, without Docker.

    S3, SQS, Lambda, Step Functions and DynamoDB (MiniStack), a real PostgreSQL and a search index, on free ports of
    127.0.0.1; then template.yaml is deployed to them. It runs on until penstock down. Several can run side by side.

    [dim]$ penstock up
    $ penstock up --stack second -p MaxParallelBatches=4
    $ penstock up --search opensearch      # a real node, fetched once
    $ penstock up --warehouse redshift     # its Data API, on PostgreSQL
    $ penstock up -p Stream=provisioned    # a Kinesis stream, whose events are counted[/dim]
    """
    from time import monotonic

    from penstock.local.stack import LocalStack

    began = monotonic()
    with margin().status("starting …") as status:
        made = LocalStack.up(
            stack,
            template=template,
            datasets=datasets,
            parameters=_parameters(parameter or []),
            search=search.value,
            warehouse=warehouse.value,
            lifeline=False,
            auth=False,
            on_progress=lambda step: status.update(f"{step} …"),
        )
    if as_json:
        emit(
            {
                "stack": stack,
                "endpoint": made.endpoint,
                "outputs": dict(made.outputs),
                "warehouse": made.warehouse_dsn("owner"),
                "search": made.search_url,
                "seconds": round(monotonic() - began, 2),
            }
        )
        return
    console = screen()
    console.print(f"[bold green]{stack}[/] is up, after {lasting(monotonic() - began)}\n")
    bucket = made.outputs["LandingBucket"]
    places = {
        "put files into": f"s3://{bucket}/incoming/<dataset>/",
        "AWS endpoint": f"AWS_ENDPOINT_URL={made.endpoint}",
        "PostgreSQL": made.warehouse_dsn("owner"),
        "search": made.search_url or NOTHING,
    }
    if warehouse.value == "redshift":
        places["Redshift"] = f"AWS_ENDPOINT_URL_REDSHIFT_DATA={made.client('redshift-data').meta.endpoint_url}"
    if stream := made.outputs.get("StreamName"):
        places["put events into"] = f"stream {stream}"
    for what, where in places.items():
        console.print(f"  [dim]{what:<17}[/]{where}", soft_wrap=True)
    other = option(stack)
    console.print("\nNext:")
    console.print(f"  penstock put FILE --dataset NAME --wait{other}", soft_wrap=True)
    console.print(f"  penstock status --watch{other}")
    console.print(f"  penstock down{other}")


def down(stack: StackName = LOCAL, as_json: AsJson = False) -> None:
    """End a stack of this laptop, and all that was in it.

    [dim]$ penstock down
    $ penstock down --stack second[/dim]
    """
    from penstock.local.stack import LocalStack

    found = LocalStack.find(stack)
    with margin().status(f"ending {stack} …"):
        found.down()
    if as_json:
        emit({"stack": stack, "ended": True})
    else:
        screen().print(f"[bold]{stack}[/] has ended; nothing of it is left running.")


def _parameters(given: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise PermanentError(f"--parameter {text}: write it as NAME=VALUE")
        parameters[name] = value
    return parameters
