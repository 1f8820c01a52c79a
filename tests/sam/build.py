"""`sam build`, for the Python at hand: what is deployed, and what each function runs on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse
from tests.template.deployment import REPOSITORY

BIN = Path(sys.executable).parent
RUNTIME = "python{}.{}".format(*sys.version_info)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """For `sam`: nothing of the user's AWS configuration, and the functions' Python first on the PATH."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **(more or {}),
    }


def sam_build(folder: Path, runtime: str = RUNTIME, processor: str = "x86_64") -> None:
    """Builds into `folder`, as `sam build` does into .aws-sam/build. Takes about eight seconds.

    Another `runtime` than this one's has to be on the PATH.
    """
    left = folder.with_name(f"{folder.name}-left")  # `sam` leaves an empty folder of each function.
    left.mkdir(parents=True)
    command = [str(BIN / "sam"), "build", "--no-cached", "--build-dir", str(folder)]
    subprocess.run(
        [*command, "--parameter-overrides", f"PythonRuntime={runtime}", f"Architecture={processor}"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        env=environment({"TMPDIR": str(left)}),
    )


def read_template(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml_parse(path.read_text())
    return read


def write_template(path: Path, source: dict[str, Any]) -> None:
    """As YAML without SAM's own types, which no other YAML library knows."""
    path.write_text(yaml.safe_dump(json.loads(json.dumps(source)), sort_keys=False))
