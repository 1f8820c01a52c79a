"""The image that functions run in: AWS's, or one like it of Debian's Python, and on it the way to the engines."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.sam.build import RUNTIME
from tests.sam.runtime import runtime
from tests.sam_local import relay
from tests.sam_local.daemon import Docker

IMAGE = "penstock-sam-local:latest"
_AWSS = f"public.ecr.aws/lambda/python:{RUNTIME.removeprefix('python')}-x86_64"
_LIKE_IT = "penstock-like-lambda:latest"
_DEBIANS = "penstock-debian-python:latest"

_BOOTSTRAP = """#!/bin/sh
# As AWS's own: it puts the wrapper that is named before the runtime, and the function before what the runtime has.
export PYTHONPATH="$LAMBDA_TASK_ROOT:/opt/python:/var/runtime"
cd "$LAMBDA_TASK_ROOT"
exec $AWS_LAMBDA_EXEC_WRAPPER /usr/bin/python3 -m awslambdaric "$_HANDLER"
"""
_WRAPPER = """#!/bin/sh
python3 /penstock/relay.py inside "$LAMBDA_TASK_ROOT" $PENSTOCK_HOST_PORTS
exec "$@"
"""


def base_image(docker: Docker) -> tuple[str, str]:
    """A base image for `RUNTIME`: its name, and for a person what it is. Skips the test where there can be none."""
    try:
        docker.run("pull", _AWSS, seconds=600)
    except subprocess.SubprocessError:
        pass
    else:
        return _AWSS, f"AWS's image `{_AWSS}`"
    debian = debian_image(docker)
    version = docker.run("run", "--rm", "--network", "none", debian, "python3", "--version")
    if "python" + ".".join(version.split()[1].split(".")[:2]) != RUNTIME:
        pytest.skip(f"AWS's image can't be pulled, and the Python that debootstrap brings is {version}, not {RUNTIME}")
    lines = ["COPY runtime bootstrap /var/runtime/", "ENV LAMBDA_TASK_ROOT=/var/task", "WORKDIR /var/task"]
    with tempfile.TemporaryDirectory(prefix="penstock-runtime-") as folder:
        build_image(docker, _LIKE_IT, debian, {"bootstrap": _BOOTSTRAP, "runtime": runtime(Path(folder))}, lines)
    return _LIKE_IT, f"an image of debootstrap's with Debian's Python {version.split()[1]} and `awslambdaric`"


def with_relay(docker: Docker, base: str, ports: Sequence[int], variables: Mapping[str, str]) -> None:
    """Makes IMAGE: `base`, in which the `ports` of this machine's loopback are reached at the container's own.

    `sam local` hands a function no variable that the template doesn't declare, so `variables` stand in the image.
    """
    told = {
        **variables,
        "AWS_LAMBDA_EXEC_WRAPPER": "/penstock/wrapper",
        "PENSTOCK_HOST_PORTS": " ".join(map(str, ports)),
    }
    files = {"wrapper": _WRAPPER, "relay.py": Path(relay.__file__).read_text()}
    lines = ["COPY wrapper relay.py /penstock/", *(f'ENV {name}="{value}"' for name, value in told.items())]
    build_image(docker, IMAGE, base, files, lines)


def debian_image(docker: Docker) -> str:
    """A Debian with its Python. Skips the test where it can't be made."""
    docker.run("import", str(_debian()), _DEBIANS)
    return _DEBIANS


def build_image(docker: Docker, name: str, base: str, parts: Mapping[str, str | Path], lines: Sequence[str]) -> None:
    """`base`, with `lines` of a Dockerfile. `parts` are what those copy: programs, by their text, and folders."""
    with tempfile.TemporaryDirectory(prefix="penstock-image-") as context:
        for part, content in parts.items():
            if isinstance(content, Path):
                shutil.copytree(content, Path(context, part), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                Path(context, part).write_text(content)
                Path(context, part).chmod(0o755)
        Path(context, "Dockerfile").write_text("\n".join([f"FROM {base}", *lines, ""]))
        docker.run("build", "--tag", name, context)


def _debian() -> Path:
    """A Debian with Python, as a tar: made once, by debootstrap, and kept in the user's cache folder."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = caches / "penstock" / "sam-local" / "debian.tar"
    if kept.exists():
        return kept
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("AWS's image can't be pulled, and one like it takes root and debootstrap (apt-get install it)")
    with tempfile.TemporaryDirectory(prefix="penstock-debian-") as folder:
        root, made = Path(folder, "root"), Path(folder, "debian.tar")
        command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", _codename(), str(root)]
        subprocess.run(command, check=True, capture_output=True, timeout=900)
        subprocess.run(["tar", "-C", root, "--exclude=./var/cache", "-cf", made, "."], check=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, kept)
    return kept


def _codename() -> str:
    told = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return told.get("VERSION_CODENAME", "stable")
