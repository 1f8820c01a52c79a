"""What CloudFormation would see: template.yaml through SAM's translator, its conditions decided for some parameters.

SAM CLI's resolver evaluates the intrinsic functions. What only exists once deployed reads as its name, as in
`LandingBucket.Arn`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samcli.lib.intrinsic_resolver.intrinsic_property_resolver import IntrinsicResolver
from samcli.lib.intrinsic_resolver.intrinsics_symbol_table import IntrinsicsSymbolTable
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REPOSITORY = Path(__file__).parents[2]
TEMPLATE = REPOSITORY / "template.yaml"
ARCHIVE = REPOSITORY / "archive" / "template.yaml"
NETWORK = REPOSITORY / "network" / "template.yaml"
DATABASE = REPOSITORY / "database" / "template.yaml"

_OUTPUTS = ("DeliveryStreamName", "PipelineId", "VpcId", "SubnetIds", "SecurityGroupId", "Host", "ResourceId")
"""Of nested stacks, that are asked for."""

PSEUDO = {
    "AWS::StackName": "penstock",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/penstock/0f1e2d3c",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "eu-west-1",
    "AWS::Partition": "aws",
    "AWS::NoValue": "(no value)",
}

LOADER = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:loader-AbCdEf"
OWNER = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:owner-AbCdEf"
WORKGROUP = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/5f1b0c3e-1f6a-4c1b-9a77-1c1a2b3c4d5e"
COPY_ROLE = "arn:aws:iam::123456789012:role/copies"
DOMAIN = "arn:aws:es:eu-west-1:123456789012:domain/flights"

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "as it comes": {},
    "warehouse": {"Warehouse": "postgres", "WarehouseSecretArn": LOADER, "WarehouseOwnerSecretArn": OWNER},
    "warehouse by IAM": {
        "Warehouse": "postgres",
        "WarehouseHost": "flights.proxy-abc.eu-west-1.rds.amazonaws.com",
        "WarehouseResourceId": "prx-0123456789abcdef0",
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
    },
    "new database": {
        "Warehouse": "postgres",
        "CreateDatabase": "true",
        "CreateNetwork": "true",
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
    },
    "new database in a network": {
        "Warehouse": "postgres",
        "CreateDatabase": "true",
        "DeletionProtection": "true",
        "VpcId": "vpc-0a1b2c3d",
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1,sg-2",
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
    },
    "Redshift Serverless by IAM": {
        "Warehouse": "redshift",
        "RedshiftWorkgroupArn": WORKGROUP,
        "RedshiftLoader": "ROLE penstock_loader",
        "RedshiftCopyRoleArn": COPY_ROLE,
    },
    "Redshift cluster by IAM": {"Warehouse": "redshift", "RedshiftCluster": "flights", "RedshiftDatabase": "landing"},
    "Redshift by secrets": {
        "Warehouse": "redshift",
        "RedshiftWorkgroupArn": WORKGROUP,
        "WarehouseSecretArn": LOADER,
        "WarehouseOwnerSecretArn": OWNER,
        "RedshiftLoader": "penstock_loader",
    },
    "signed search": {"SearchUrl": "https://search.example.com", "SearchDomainArn": DOMAIN},
    "unsigned search": {"SearchUrl": "http://localhost:9200", "SearchAuth": "none"},
    "own data pipeline": {"DataPipelineId": "df-0123456789ABCDEFGHIJ"},
    "new data pipeline": {"CreateDataPipeline": "true"},
    "nested state machines": {"KickOffStateMachines": "after-load-*"},
    "everything expires": {
        "ProcessedExpirationDays": "14",
        "FailedExpirationDays": "15",
        "PlansExpirationDays": "7",
    },
    "nothing expires": {"PlansExpirationDays": "0"},
    "reconciled by hand": {"ReconcileSchedule": ""},
    "told by mail, protected": {"NotificationEmail": "ops@example.com", "DeletionProtection": "true"},
    "in a network": {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"},
    "in a new network": {
        "CreateNetwork": "true",
        "Warehouse": "postgres",
        "WarehouseSecretArn": LOADER,
        "WarehouseOwnerSecretArn": OWNER,
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
    },
    "Redshift from a new network": {
        "CreateNetwork": "true",
        "Warehouse": "redshift",
        "RedshiftWorkgroupArn": WORKGROUP,
        "WarehouseSecretArn": LOADER,
        "WarehouseOwnerSecretArn": OWNER,
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
    },
    "arm64 on Python 3.12": {"PythonRuntime": "python3.12", "Architecture": "arm64"},
    "provisioned stream": {
        "Stream": "provisioned",
        "StreamShards": "4",
        "StreamFilter": '{"data": {"type": ["click"]}}',
        "StreamSilentMinutes": "0",
    },
    "events by Firehose, messages in order": {"Archive": "direct", "ArchivePartition": "type", "Messages": "fifo"},
    "canaries": {"Canary": "Linear10PercentEvery10Minutes", "Release": "8bbcfb2"},
    "canaries from snapshots": {
        "Canary": "Canary10Percent30Minutes",
        "Release": "8bbcfb2",
        "SnapStart": "published",
        "Warehouse": "postgres",
        "WarehouseSecretArn": LOADER,
        "WarehouseOwnerSecretArn": OWNER,
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
    },
    "all of it": {
        "Warehouse": "postgres",
        "WarehouseSecretArn": LOADER,
        "WarehouseOwnerSecretArn": OWNER,
        "SearchUrl": "https://search.example.com",
        "SearchDomainArn": DOMAIN,
        "CreateDataPipeline": "true",
        "KickOffStateMachines": "after-load",
        "TaskImage": "images.example.com/penstock-task:1",
        "TaskCluster": "tasks",
        "Stream": "on-demand",
        "Archive": "stream",
        "Messages": "standard",
        "NotificationEmail": "ops@example.com",
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
    },
}


class _ManagedPolicies:
    """SAM adds some of AWS's policies by name and would ask IAM for their ARNs."""

    def load(self) -> dict[str, str]:
        names = (
            "service-role/AWSLambdaBasicExecutionRole",
            "service-role/AWSLambdaVPCAccessExecutionRole",
            "AWSXRayDaemonWriteAccess",
            "AWSXrayWriteOnlyAccess",
        )
        return {name.rpartition("/")[2]: f"arn:aws:iam::aws:policy/{name}" for name in names}


def source(template: Path = TEMPLATE) -> dict[str, Any]:
    """template.yaml, or a nested one, as it is written, `!Ref` read as `{"Ref": …}`."""
    parsed: dict[str, Any] = yaml_parse(template.read_text())
    return parsed


@cache
def transformed() -> dict[str, Any]:
    """template.yaml through SAM's translator, with all its conditions open."""
    session = boto3.Session(region_name=PSEUDO["AWS::Region"], aws_access_key_id="x", aws_secret_access_key="x")
    translator = Translator(_ManagedPolicies().load(), Parser(), boto_session=session)
    translated: dict[str, Any] = translator.translate(_packaged(source()), {})
    return translated


def _packaged(template: dict[str, Any]) -> dict[str, Any]:
    """As `sam deploy` hands it over: what is a local path points to S3."""
    for name, resource in template["Resources"].items():
        for local in {"CodeUri", "ContentUri", "DefinitionUri"} & resource["Properties"].keys():
            resource["Properties"][local] = f"s3://code/{name}"
    return template


def deployed(variant: str) -> dict[str, dict[str, Any]]:
    """A variant's resources by logical id, `{"Type", "Properties", …}`; those whose condition is false are gone."""
    return copy.deepcopy(_deployed(variant))  # Ten times as fast as to decide it again.


@cache
def _deployed(variant: str) -> dict[str, dict[str, Any]]:
    template = copy.deepcopy(transformed())
    given = _parameters(template, VARIANTS[variant])
    symbols = IntrinsicsSymbolTable(
        template=template,
        logical_id_translator={**given, **PSEUDO},
        default_type_resolver={"AWS::SQS::Queue": {"QueueName": lambda name: f"{name}.QueueName"}},
        common_attribute_resolver={
            "Ref": lambda name: name,
            "Arn": lambda name: f"{name}.Arn",
            "StateMachineRevisionId": lambda name: f"{name}.StateMachineRevisionId",
            "Version": lambda name: f"{name}.Version",
            "RoleId": lambda name: f"{name}.RoleId",
            "Name": lambda name: f"{name}.Name",
            **{f"Outputs.{output}": _output(output) for output in _OUTPUTS},
        },
    )
    resolver = IntrinsicResolver(template=template, symbol_resolver=symbols)
    decided = {
        name: resolver.intrinsic_property_resolver(condition, ignore_errors=False)
        for name, condition in template["Conditions"].items()
    }
    there = {
        name: resource
        for name, resource in template["Resources"].items()
        if decided.get(resource.get("Condition"), True)
    }
    return {
        name: _pruned(resolver.intrinsic_property_resolver(resource, ignore_errors=False))
        for name, resource in there.items()
    }


def nested(variant: str, name: str) -> dict[str, dict[str, Any]]:
    """The resources of the nested stack `name`, as they are written; those whose condition is false are gone."""
    stack = deployed(variant)[name]["Properties"]
    template = source(REPOSITORY / stack["TemplateURL"])
    given = _parameters(template, stack["Parameters"])
    symbols = IntrinsicsSymbolTable(template=template, logical_id_translator={**given, **PSEUDO})
    resolver = IntrinsicResolver(template=template, symbol_resolver=symbols)
    decided = {
        condition: resolver.intrinsic_property_resolver(test, ignore_errors=False)
        for condition, test in template.get("Conditions", {}).items()
    }
    return {
        resource: written
        for resource, written in template["Resources"].items()
        if decided.get(written.get("Condition"), True)
    }


def _output(name: str) -> Callable[[str], str]:
    return lambda stack: f"{stack}.Outputs.{name}"


def _parameters(template: dict[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Each parameter's value as CloudFormation takes it: a text, or a list of them."""
    values: dict[str, Any] = {}
    for name, parameter in template["Parameters"].items():
        value = given[name] if name in given else str(parameter["Default"])
        values[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
        parameter["Default"] = values[name]
    return values


def _pruned(node: Any) -> Any:
    """Without what resolved to AWS::NoValue."""
    nothing = PSEUDO["AWS::NoValue"]
    if isinstance(node, dict):
        return {key: _pruned(value) for key, value in node.items() if value != nothing}
    if isinstance(node, list):
        return [_pruned(value) for value in node if value != nothing]
    return node


def of_type(resources: Mapping[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}
