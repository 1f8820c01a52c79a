"""What is different of template.yaml on a laptop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.local.state import find_home
from penstock.local.template import definition_json, localise
from penstock.model.errors import PermanentError

ROOT = Path(__file__).resolve().parents[2]


def test_a_substituted_number_stands_without_quotes_and_an_arn_with_them(tmp_path: Path) -> None:
    asl = tmp_path / "a.asl.yaml"
    asl.write_text("MaxConcurrency: ${Most}\nFunctionName: ${Arn}\n")

    text = definition_json(asl, {"Most"}).decode()

    assert json.loads(text.replace("${Most}", "8")) == {"MaxConcurrency": 8, "FunctionName": "${Arn}"}


def test_what_the_repository_deploys_is_accepted_here_whole() -> None:
    local = localise(ROOT / "template.yaml", ROOT / "datasets", "code", {})

    resources = local.body["Resources"]
    functions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Function"]
    assert functions
    for function in functions:
        assert function["Runtime"] == "provided.al2023"
        assert "Layers" not in function
        assert local.objects[function["Code"]["S3Key"]]
        variables = function["Environment"]["Variables"]
        assert variables["PENSTOCK_DATASETS"] == str(ROOT / "datasets")
        assert not [value for value in variables.values() if isinstance(value, int | float)]
    text = json.dumps(local.body)
    assert "AWS::DataPipeline" not in text
    assert "aws:SecureTransport" not in text


def test_a_function_without_code_is_named(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        "Transform: AWS::Serverless-2016-10-31\n"
        "Resources:\n"
        "  One: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/one, Handler: app.handler}}\n"
    )

    with pytest.raises(PermanentError, match=r"functions/one has no app\.py"):
        localise(template, tmp_path, "code", {})


def test_a_stack_is_found_from_a_folder_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    (tmp_path / ".penstock").mkdir()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert find_home(below) == tmp_path / ".penstock"
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "elsewhere"))
    assert find_home(below) == tmp_path / "elsewhere"
