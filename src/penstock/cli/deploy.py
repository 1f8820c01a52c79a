"""`penstock deploy`: a first deployment to AWS, step by step; what is wrong is said before anything is made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from penstock.cli.options import DATASETS
from penstock.cli.releases import tell_of_old
from penstock.cli.screen import complain, screen
from penstock.model.errors import PermanentError

TEMPLATE, CONFIG = Path("template.yaml"), Path("samconfig.toml")


def deploy(
    env: Annotated[str, typer.Option("--env", metavar="NAME", help="Which section of samconfig.toml.")] = "default",
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="Set, and not asked for. Repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Don't ask at the end whether to deploy.")] = False,
) -> None:
    """Deploy to your AWS account: check, ask, say what it will cost, then sam build and sam deploy.

    Nothing is made before you have said yes. What is deployed already is offered as each answer; Enter keeps it. It
    asks for a few parameters only. docs/deploy.md has all of them, for --parameter or samconfig.toml.

    [dim]$ penstock deploy
    $ penstock deploy --env prod --parameter MaxBatchesAtWork=20[/dim]
    """
    from penstock.local import first_deployment as first
    from penstock.local.aws_session import aws_session
    from penstock.local.deployment import aws_deployment
    from penstock.local.releases import require_unused

    console = screen()
    for needed in (TEMPLATE, CONFIG, DATASETS):
        if not needed.exists():
            raise PermanentError(f"there is no {needed} here. Run it in the folder of Penstock's repository")
    section, known = first.Section.read(CONFIG, env), first.parameters_of(TEMPLATE)
    given = dict(section.overrides)
    for text in parameters or []:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise PermanentError(f"--parameter {text} is no NAME=VALUE with a parameter of {TEMPLATE}")
        given[name] = value
    sam = first.require("sam", "Install the AWS SAM CLI, or run: make setup, then make deploy")
    first.require("make", "Both layers are built by a Makefile")
    session = aws_session()
    place = first.place(session)
    console.print(f"  account {place.account}, region {place.region}, as {place.caller}", soft_wrap=True)
    standing = first.deployed_parameters(session, section.stack)
    kept = {name: value for name, value in standing.items() if name in known}
    console.print(f"  stack {section.stack}: {'is there, and will be changed' if standing else 'is new'}\n")

    defaults = {name: str(one.get("Default", "")) for name, one in known.items()} | kept
    answers = _asked(known, defaults | given, set(given))
    values = defaults | given | answers
    if values["Canary"] != "none":
        if not given.get("Release"):
            given["Release"] = values["Release"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        elif standing:
            require_unused(aws_deployment(section.stack), given["Release"])
    first.require_consistent(TEMPLATE, values)
    for name in ("WarehouseSecretArn", "WarehouseOwnerSecretArn"):
        if values["Warehouse"] != "none" and values[name]:
            first.check_secret(session, values[name], values["Warehouse"])
            console.print(f"  {name}: can be read, and has what it needs")
    options = first.build_options(values["PythonRuntime"])
    _cost(values)

    changed = {name: value for name, value in answers.items() if value != defaults[name]}
    overrides = [f"{name}={value}" for name, value in (given | changed).items()]
    build = [f"{name}={values[name]}" for name in ("PythonRuntime", "Architecture")]
    commands = [
        [sam, "build", "--config-env", env, *options, "--parameter-overrides", *build],
        [
            sam,
            "deploy",
            "--config-env",
            env,
            "--region",
            place.region,
            *(["--parameter-overrides", *overrides] if overrides else []),
        ],
    ]
    console.print("\n".join(f"  sam {' '.join(command[1:])}" for command in commands), soft_wrap=True)
    if not yes and not typer.confirm(f"\nDeploy {section.stack} to account {place.account}, {place.region}?"):
        console.print("Nothing was made.")
        return
    with TemporaryDirectory(prefix="penstock-deploy-") as left:  # `sam` leaves a folder of each function.
        for command in commands:
            environment = {**os.environ, "TMPDIR": left}
            done = subprocess.run(command, check=False, env=environment)  # noqa: S603 - sam itself, as is shown above.
            if done.returncode:
                raise PermanentError(f"sam {command[1]} failed; it says why above. docs/deploy.md may help")
    console.print(f"\nDeployed. What it does: penstock status --stack {section.stack} --aws")
    tell_of_old(section.stack, datetime.now(UTC))


def _asked(known: Mapping[str, Mapping[str, Any]], defaults: Mapping[str, str], given: set[str]) -> dict[str, str]:
    """An answer for each question that the ones before leave open."""
    from penstock.local.first_deployment import refusal

    answers: dict[str, str] = {}
    for name in _questions(defaults, answers):
        if name in given:
            continue
        while True:
            typer.echo(f"{name}: {known[name]['Description']}")
            answers[name] = str(typer.prompt(">", default=defaults[name], show_default=bool(defaults[name]))).strip()
            wrong = refusal(known[name], answers[name])
            if not answers[name] and name.endswith("SecretArn") and answers.get("Warehouse") == "postgres":
                wrong = "is needed with Warehouse=postgres: a secret of Secrets Manager, by its ARN"
            if not wrong:
                break
            complain(f"{name} {wrong}")
    return answers


def _questions(defaults: Mapping[str, str], answers: Mapping[str, str]) -> Iterator[str]:
    def value(name: str) -> str:
        return answers.get(name, defaults[name])

    yield "Warehouse"
    if value("Warehouse") == "redshift":
        yield from ("RedshiftWorkgroupArn", *(() if value("RedshiftWorkgroupArn") else ("RedshiftCluster",)))
        yield from ("RedshiftDatabase", "RedshiftLoader", "RedshiftCopyRoleArn")
    by_iam = value("WarehouseHost")
    if value("Warehouse") == "postgres" and not by_iam:
        yield "CreateDatabase"
    if value("Warehouse") != "none" and value("CreateDatabase") == "false" and not by_iam:
        yield from ("WarehouseSecretArn", "WarehouseOwnerSecretArn")
    yield "SearchUrl"
    if value("SearchUrl"):
        yield "SearchAuth"
        if value("SearchAuth") == "aws":
            yield "SearchDomainArn"
    if value("Warehouse") != "none" or value("SearchUrl"):
        yield "CreateNetwork"
        if value("CreateNetwork") == "false":
            yield "VpcSubnetIds"
            if value("VpcSubnetIds"):
                yield "VpcSecurityGroupIds"
                if value("CreateDatabase") == "true":
                    yield "VpcId"
    yield "NotificationEmail"


def _cost(values: Mapping[str, str]) -> None:
    """A rough sum; `penstock cost` has the whole table."""
    from penstock.local.cost import PRICES
    from penstock.local.forecast import Files, forecast
    from penstock.local.stack_template import StackTemplate

    a_day = typer.prompt("About how many files come a day?", default=1000, type=int)
    destinations = (values["Warehouse"] != "none") + bool(values["SearchUrl"])
    told = forecast(Files(a_day * 30, 200_000, destinations=destinations or 1), StackTemplate.read(TEMPLATE, values))
    screen().print(
        f"  about ${told.dollars:,.2f} a month for {a_day:,} files of 200 KB a day, and "
        f"${sum(line.dollars for line in told.idle):,.2f} when nothing comes, by list prices of {PRICES.region}, "
        f"{PRICES.as_of}, and without a warehouse of yours; more: penstock cost --files {a_day} --per day\n",
        soft_wrap=True,
    )
