"""Where --aws looks: the region as AWS CLI v2 finds it, whichever way a user has set it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.cli import app
from penstock.local.aws_session import aws_session

PROFILE = "eu-south-1"


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of whoever runs the tests, and a profile with a region."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text(f"[profile with]\nregion = {PROFILE}\n[profile without]\noutput = json\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "with"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2", "AWS_PROFILE": "with"}, "eu-west-2"),
        ({"AWS_PROFILE": "with"}, PROFILE),
        ({"AWS_REGION": "", "AWS_PROFILE": "with"}, PROFILE),
    ],
)
def test_the_region_is_the_one_that_the_aws_cli_would_take(
    environment: Mapping[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html"""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert aws_session().region_name == region


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "no AWS region is set: neither AWS_REGION nor AWS_DEFAULT_REGION is, and profile default has none"),
        ({"AWS_PROFILE": "without"}, "and profile without has none"),
        ({"AWS_PROFILE": "gone"}, "The config profile (gone) could not be found. AWS_PROFILE has to name one of these"),
    ],
)
@pytest.mark.parametrize("command", [["status"], ["runs"], ["produce", __file__, "--stream", "clicks"]])
def test_what_is_not_set_is_said_with_what_to_do(command: list[str], environment: dict[str, str], says: str) -> None:
    ran = CliRunner().invoke(app, [*command, "--aws"], env=environment)

    assert ran.exit_code == 1
    assert says in " ".join(ran.stderr.split())
