"""Deploys template.yaml to a stack's engines: what `sam deploy` does on AWS, in about two seconds."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from penstock.local.engines import ACCOUNT, REGION
from penstock.local.template import LocalTemplate, localise, pipeline_objects
from penstock.model.errors import PermanentError

BUCKET = "penstock-deployment"
"""Holds the functions' archives and the state machines' definitions; of MiniStack, not of the template."""

_WORKGROUP = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/local"
_SECONDS = 120
_PLATFORM = ("START ", "END ", "REPORT ")


def deploy(
    client: Callable[[str], Any], name: str, local: LocalTemplate, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Creates or updates the CloudFormation stack `name`; its outputs.

    Raises PermanentError that lists the resources that failed, in the order in which they did, each with its reason.
    """
    body = json.dumps(local.body)
    _upload(client("s3"), {**local.objects, f"{name}.json": body.encode()})
    cloudformation = client("cloudformation")
    wanted = {
        "StackName": name,
        "TemplateURL": f"{client('s3').meta.endpoint_url}/{BUCKET}/{name}.json",
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        if _status(cloudformation, name):
            cloudformation.update_stack(**wanted)
        else:
            cloudformation.create_stack(**wanted, OnFailure="DO_NOTHING")  # What failed is there to be looked at.
    except ClientError as refused:
        if "No updates are to be performed" not in str(refused):
            raise PermanentError(f"CloudFormation refuses stack {name}: {refused}") from None
    return _await(client, name)


def parameters_for(local: LocalTemplate, wanted: Mapping[str, str]) -> dict[str, str]:
    """Those of `wanted` that the template has."""
    return {name: value for name, value in wanted.items() if name in local.body.get("Parameters", {})}


def laptop_parameters(warehouse: str) -> dict[str, str]:
    """What the template's parameters are on every laptop, with that warehouse."""
    redshift = {"RedshiftWorkgroupArn": _WORKGROUP, "RedshiftLoader": "penstock_loader"}
    return {
        "Warehouse": warehouse,
        **(redshift if warehouse == "redshift" else {}),
        "SearchAuth": "none",
        "CreateDataPipeline": "false",
        "ArrivalsWindowSeconds": "1",
        "ArchivePrefix": "events/",
        "ArchiveMiB": "128",
        "ArchiveSeconds": "5",  # Of five minutes nobody would see anything.
        # A batch at work keeps two Lambda workers busy, and they share this machine with every engine.
        "MaxParallelBatches": str(max(2, min(8, os.cpu_count() or 2))),
    }


def make_secrets(secrets: Any, name: str, port: int) -> dict[str, str]:
    """A secret for each role of the warehouse on `port`; the template's parameters that name them."""
    arns = {}
    for parameter, role in {
        "WarehouseSecretArn": "penstock_loader",
        "WarehouseOwnerSecretArn": "penstock_owner",
    }.items():
        secret = {
            "host": "127.0.0.1",
            "port": port,
            "dbname": "warehouse",
            "username": role,
            "password": "trust",  # The server on the loopback asks for none.
            "sslmode": "disable",
        }
        created = secrets.create_secret(Name=f"{name}/{role}", SecretString=json.dumps(secret))
        arns[parameter] = created["ARN"]
    return arns


def make_pipeline(pipelines: Any, name: str, template: Path) -> dict[str, str]:
    """A Data Pipeline with the definition of the repository's nested template; the parameter that names it."""
    made = pipelines.create_pipeline(name=f"{name}-after-load", uniqueId=name)["pipelineId"]
    pipelines.put_pipeline_definition(pipelineId=made, pipelineObjects=pipeline_objects(template))
    return {"DataPipelineId": made}


def read_template(template: Path, datasets: Path, parameters: Mapping[str, str]) -> LocalTemplate:
    """The template as it is deployed here. Takes half a second, which the engines' start hides."""
    return localise(template, datasets, BUCKET, parameters)


def said_by_functions(client: Callable[[str], Any]) -> str:
    """The last lines that functions logged: a custom resource that failed says there why."""
    logs = client("logs")
    lines: list[tuple[int, str]] = []
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        lines += [(event["timestamp"], event["message"].rstrip()) for event in events]
    told = [line for _, line in sorted(lines, key=itemgetter(0)) if not line.startswith(_PLATFORM)]
    return "".join(f"\n  {line}" for line in told[-6:])


def _upload(s3: Any, objects: Mapping[str, bytes]) -> None:
    s3.create_bucket(Bucket=BUCKET)
    for key, content in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)


def _status(cloudformation: Any, name: str) -> str:
    try:
        return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    except ClientError:
        return ""


def _await(client: Callable[[str], Any], name: str) -> dict[str, str]:
    cloudformation = client("cloudformation")
    deadline = time.monotonic() + _SECONDS
    while (status := _status(cloudformation, name)).endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise PermanentError(f"stack {name} is still {status} after {_SECONDS} s. {_failures(client, name)}")
        time.sleep(0.05)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise PermanentError(f"stack {name} ended {status or 'before it began'}. {_failures(client, name)}")
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _failures(client: Callable[[str], Any], name: str) -> str:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        (event["LogicalResourceId"], event["ResourceType"], event.get("ResourceStatusReason") or "no reason given")
        for event in sorted(events, key=lambda event: event["Timestamp"])
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    failed = [f"{name} ({kind}): {why}" for name, kind, why in reasons if "cancelled" not in why]
    if failed:
        by_function = any(kind.startswith("Custom::") for _, kind, _ in reasons)
        return "What failed: " + "; ".join(failed) + (said_by_functions(client) if by_function else "")
    unfinished = {event["LogicalResourceId"] for event in events if event["ResourceStatus"].endswith("_IN_PROGRESS")}
    finished = {event["LogicalResourceId"] for event in events if event["ResourceStatus"].endswith("_COMPLETE")}
    return (
        "Not finished: " + ", ".join(sorted(unfinished - finished))
        if unfinished - finished
        else "No resource says why."
    )
