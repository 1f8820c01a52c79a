"""What `sam build` made, changed as little as MiniStack wants it; docs/testing.md names each change and its cause.

The archives, the layers, the change sets and the roles are those that `sam build` and `sam deploy` make for AWS.
"""

from __future__ import annotations

from pathlib import Path

from tests.sam.build import read_template, write_template

from penstock.local.template import (
    allow_by_ministacks_names,
    allow_plain_http,
    computes,
    definition_json,
    drop_policies_without_statements,
    numbers_in,
)

_DATASETS = "../layer_1/datasets"
"""MiniStack unpacks a function's second layer there, beside its code, and not below /opt."""
NESTED_BUCKET = "nested"
"""Has to hold the nested templates, by their paths beside `built`. `sam delete` asks the template where they lie, and
takes no address but AWS's; in such a one the engine looks for bucket and key, and takes them for its own."""


def shimmed(built: Path) -> Path:
    """The built template as MiniStack takes it, beside `built`, for `sam deploy --template-file`."""
    source = read_template(built)
    source["Globals"]["Function"]["Environment"]["Variables"]["PENSTOCK_DATASETS"] = _DATASETS
    numbers = {name for name, given in source["Parameters"].items() if given["Type"] == "Number"}
    source["Resources"] = {name: one for name, one in source["Resources"].items() if not computes(one)}
    for name, resource in source["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::StateMachine":
            definition = built.with_name(f"{name}.asl.json")
            unquoted = numbers_in(properties.get("DefinitionSubstitutions", {}), numbers)
            definition.write_bytes(definition_json(built.parent / properties["DefinitionUri"], unquoted))
            properties["DefinitionUri"] = str(definition)
        elif resource["Type"] == "AWS::CloudFormation::Stack":
            properties["TemplateURL"] = f"https://s3.amazonaws.com/{NESTED_BUCKET}/{properties['TemplateURL']}"
        elif "PolicyDocument" in properties:
            allow_plain_http(properties["PolicyDocument"])
        allow_by_ministacks_names(properties.get("Policies", []))
    drop_policies_without_statements(source["Resources"])
    made = built.with_name("shimmed.yaml")
    write_template(made, source)
    return made
