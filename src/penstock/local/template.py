"""The repository's template.yaml as MiniStack takes it: what differs on a laptop, and nothing else.

Functions run on the Python at hand (a `bootstrap` for `provided.al2023`), code and datasets come straight from the
folders and not from layers, the state machine's YAML becomes JSON. Left out is what MiniStack refuses, nested stacks
(network, database, Data Pipeline), alarms that compute, and the Deny statements on plain HTTP: there is no TLS on the
loopback.
"""

from __future__ import annotations

import io
import json
import logging
import shlex
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml

import penstock
from penstock.local import lambda_worker
from penstock.local.clients import session
from penstock.local.engines import library_paths
from penstock.model.errors import PermanentError

_DROPPED = {
    "AWS::Serverless::LayerVersion",
    "AWS::Lambda::LayerVersion",
    "AWS::Serverless::Application",
    "AWS::CloudFormation::Stack",
}
MINISTACKS_NAMES = {
    "s3:DeleteObjectVersion": "s3:DeleteObject",  # For DeleteObjects by version id.
    "sqs:SendMessage": "sqs:SendMessageBatch",
}
"""Beside each permission that MiniStack asks for by another name, that name."""
_CUSTOM_SECONDS = 30
"""MiniStack waits as long for a custom resource whose function has crashed; on AWS it is the template's."""

_MANAGED_POLICIES = (
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
)


@dataclass(frozen=True)
class LocalTemplate:
    """`body` is plain CloudFormation; `objects` are what it points to in the deployment's bucket, by key."""

    body: dict[str, Any]
    objects: Mapping[str, bytes]


def localise(template: Path, datasets: Path, bucket: str, parameters: Mapping[str, str]) -> LocalTemplate:
    """Reads `template` and what it names. Raises PermanentError, in SAM's own words where SAM refuses it."""
    from samtranslator.yaml_helper import yaml_parse

    source: dict[str, Any] = yaml_parse(template.read_text())
    resources: dict[str, Any] = source["Resources"]
    dropped = {name for name, resource in resources.items() if resource["Type"] in _DROPPED or computes(resource)}
    for name in dropped:
        del resources[name]
    objects: dict[str, bytes] = {}
    code = _Code(template.parent, datasets)

    def put(name: str, ending: str, content: bytes) -> dict[str, str]:
        key = f"{name}-{blake2b(content, digest_size=8).hexdigest()}.{ending}"
        objects[key] = content
        return {"Bucket": bucket, "Key": key}

    _localise_function(source.get("Globals", {}).get("Function", {}), datasets)
    # Ids of moto's pipelines are lower case, those of AWS upper case.
    source.get("Parameters", {}).get("DataPipelineId", {}).pop("AllowedPattern", None)
    numbers = {name for name, given in source.get("Parameters", {}).items() if given["Type"] == "Number"}
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            _localise_function(properties, datasets)
            properties["CodeUri"] = put(name, "zip", code.archive(properties["CodeUri"]))
            properties["Runtime"] = "provided.al2023"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            definition = template.parent / properties["DefinitionUri"]
            unquoted = numbers_in(properties.get("DefinitionSubstitutions", {}), numbers)
            properties["DefinitionUri"] = put(name, "json", definition_json(definition, unquoted))
        elif resource["Type"].startswith("Custom::"):
            properties["ServiceTimeout"] = _CUSTOM_SECONDS
        elif "PolicyDocument" in properties:
            allow_plain_http(properties["PolicyDocument"])
    _AddressedFromNowhere(dropped, code.digest).replace(source)
    drop_policies_without_statements(resources)
    return LocalTemplate(_sam(source, parameters), objects)


def definition_json(path: Path, numbers: set[str]) -> bytes:
    """A `*.asl.yaml` as JSON in which the substitutions in `numbers` stand without quotes, as MiniStack wants them."""
    text = json.dumps(yaml.safe_load(path.read_text()))
    for name in numbers:
        text = text.replace(f'"${{{name}}}"', f"${{{name}}}")
    return text.encode()


def pipeline_objects(template: Path) -> list[dict[str, Any]]:
    """The definition of the Data Pipeline in a template, as the API takes it; what it refers to becomes its name."""
    from samtranslator.yaml_helper import yaml_parse

    for resource in yaml_parse(template.read_text())["Resources"].values():
        if resource["Type"] == "AWS::DataPipeline::Pipeline":
            return [
                {
                    "id": given["Id"],
                    "name": given["Name"],
                    "fields": [
                        {name[0].lower() + name[1:]: value if isinstance(value, str) else json.dumps(value)}
                        | {"key": field["Key"]}
                        for field in given["Fields"]
                        if "Key" in field  # Else it stands behind a Condition: the laptop has no worker to place.
                        for name, value in field.items()
                        if name != "Key"
                    ],
                }
                for given in resource["Properties"]["PipelineObjects"]
            ]
    raise PermanentError(f"{template} has no AWS::DataPipeline::Pipeline")


class _Code:
    """What a function's archive holds: a bootstrap alone, which points to the folders."""

    def __init__(self, root: Path, datasets: Path) -> None:
        self._root = root.resolve()
        library = Path(penstock.__file__).resolve().parent
        self.digest = _digest([self._root / "functions", library, datasets])
        """Changes with the sources, so that a second deployment replaces the workers that have the old ones loaded."""

    def archive(self, uri: str) -> bytes:
        folder = self._root / uri
        if not (folder / "app.py").is_file():
            raise PermanentError(f"{folder} has no app.py: the template's CodeUri {uri} names it")
        arguments = [sys.executable, "-I", "-S", lambda_worker.__file__, str(folder), *library_paths()]
        script = f"#!/bin/sh\n# sources: {self.digest}\nexec {shlex.join(arguments)}\n"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")  # Its date is always 1980: the same script, the same archive.
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, script)
        return content.getvalue()


def _digest(folders: list[Path]) -> str:
    seen = blake2b(digest_size=8)
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix in (".py", ".yaml", ".sql"):
                seen.update(f"{file} {file.stat().st_mtime_ns}".encode())
    return seen.hexdigest()


def _localise_function(properties: dict[str, Any], datasets: Path) -> None:
    properties.pop("Layers", None)
    for policy in properties.get("Policies", []):
        allow_by_ministacks_names(policy)
    variables = properties.get("Environment", {}).get("Variables", {})
    for name, value in variables.items():
        if isinstance(
            value, (int, float)
        ):  # CloudFormation makes texts of them; MiniStack can't start a worker with one.
            variables[name] = str(value)
    if "PENSTOCK_DATASETS" in variables:
        variables["PENSTOCK_DATASETS"] = str(datasets.resolve())


def allow_by_ministacks_names(node: Any) -> None:
    """What AWS allows by one name and MiniStack by another is given by both."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    for child in children:
        allow_by_ministacks_names(child)
    if isinstance(node, dict) and "Action" in node:
        actions = [node["Action"]] if isinstance(node["Action"], str) else node["Action"]
        if more := [MINISTACKS_NAMES[action] for action in actions if action in MINISTACKS_NAMES]:
            node["Action"] = [*actions, *more]


def numbers_in(substitutions: Mapping[str, Any], number_parameters: set[str]) -> set[str]:
    """Names of the substitutions whose value is a number: a literal, or a parameter of type Number."""
    return {
        name
        for name, value in substitutions.items()
        if isinstance(value, int) or (isinstance(value, dict) and value.get("Ref") in number_parameters)
    }


def computes(resource: Mapping[str, Any]) -> bool:
    """An alarm that asks for more than one metric: MiniStack has no query over shards."""
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]


def allow_plain_http(document: dict[str, Any]) -> None:
    def asks_for_tls(statement: dict[str, Any]) -> bool:
        # One that a condition decides, `Fn::If`, has no effect of its own.
        denies = statement.get("Effect") == "Deny"
        return denies and "aws:SecureTransport" in json.dumps(statement.get("Condition", {}))

    document["Statement"] = [statement for statement in document["Statement"] if not asks_for_tls(statement)]


def drop_policies_without_statements(resources: dict[str, Any]) -> None:
    for name, resource in list(resources.items()):
        document = resource.get("Properties", {}).get("PolicyDocument")
        if document is not None and not document["Statement"]:
            del resources[name]


@dataclass(frozen=True)
class _AddressedFromNowhere:
    """Puts a text where a resource that was dropped is referred to: a custom resource's property, an unused branch."""

    dropped: set[str]
    text: str

    def replace(self, node: Any) -> None:
        children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in list(children):
            if self._names_dropped(child):
                node[key] = self.text
            else:
                self.replace(child)
        if isinstance(node, dict) and isinstance(node.get("DependsOn"), (str, list)):
            wanted = [node["DependsOn"]] if isinstance(node["DependsOn"], str) else node["DependsOn"]
            node["DependsOn"] = [name for name in wanted if name not in self.dropped]

    def _names_dropped(self, node: Any) -> bool:
        if not isinstance(node, dict) or len(node) != 1:
            return False
        attribute = node.get("Fn::GetAtt")
        first = attribute.split(".")[0] if isinstance(attribute, str) else attribute[0] if attribute else None
        return node.get("Ref") in self.dropped or first in self.dropped


def _sam(source: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # It warns of metrics that it did not send home.
    # SAM would ask IAM for the ARNs of AWS's own policies.
    managed = {path.rpartition("/")[2]: f"arn:aws:iam::aws:policy/{path}" for path in _MANAGED_POLICIES}
    translator = Translator(managed, Parser(), boto_session=session())
    try:
        body: dict[str, Any] = translator.translate(source, dict(parameters))
    except InvalidDocumentException as refused:
        causes = "; ".join(str(cause.message) for cause in refused.causes)
        raise PermanentError(f"SAM refuses the template: {causes}") from None
    return body
