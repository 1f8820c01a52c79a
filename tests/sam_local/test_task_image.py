"""The image of Dockerfile, built and run as Fargate would: a batch is loaded by it, once however often it is run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pip
import psycopg
import pytest
from tests.sam.world import PLAN, World, quiet_world
from tests.sam_local.daemon import Docker, docker
from tests.sam_local.image import build_image, debian_image
from tests.template.deployment import REPOSITORY

_IMAGE = "penstock-task:latest"
_PYTHON = "penstock-python:latest"
_PIP = """#!/bin/sh
exec python3 -m pip "$@"
"""


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest) -> Iterator[Docker]:
    """That has the image."""
    if not request.config.getoption("--sam-local"):
        pytest.skip("an image takes a minute to build: make sam-local")
    with docker() as started:
        arguments = ["--network", "host", "--tag", _IMAGE, str(REPOSITORY)]
        try:
            started.run("build", *arguments, seconds=900)
        except subprocess.SubprocessError:  # The image that it begins with can't be pulled.
            started.run("build", "--build-arg", f"PYTHON={_python(started)}", *arguments, seconds=900)
        yield started


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with quiet_world() as made:
        made.arrive()
        yield made


def run(daemon: Docker, world: World, *arguments: str) -> int:
    """The exit code of a task with the least memory that the template offers, and BeginLoad's environment."""
    given = [f"{name}={value}" for name, value in world.environment("BeginLoad").items()]
    variables = [part for one in given if one.startswith(("PENSTOCK_", "POWERTOOLS_", "AWS_")) for part in ("-e", one)]
    try:
        as_fargate = ("--read-only", "--memory", "2048m")  # But for the image's VOLUME.
        daemon.run("run", "--rm", "--network", "host", *as_fargate, *variables, _IMAGE, *arguments)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def test_the_image_loads_and_indexes_a_batch_once(daemon: Docker, world: World) -> None:
    batch = ("--plan", PLAN, "--batch", "0")

    codes = [run(daemon, world, step, *batch) for step in ("begin_load", "begin_load", "index_batch")]

    assert codes == [0, 0, 0]
    with psycopg.connect(world.stack.warehouse_dsn("owner")) as connection:
        assert connection.execute("SELECT count(*) FROM public.flights").fetchone() == (2,)


def test_its_exit_code_says_that_there_is_no_such_plan(daemon: Docker, world: World) -> None:
    assert run(daemon, world, "begin_load", "--plan", "no-such-plan", "--batch", "0") == os.EX_DATAERR


def test_nothing_of_the_laptop_is_in_it_and_nobody_runs_it(daemon: Docker) -> None:
    inside = ("run", "--rm", "--network", "none", "--entrypoint", "python", _IMAGE, "-c")

    told = daemon.run(*inside, "import os, penstock; print(os.getuid(), sorted(os.listdir(penstock.__path__[0])))")

    user, _, modules = told.partition(" ")
    assert user != "0"
    assert "task.py" in modules
    assert "'cli'" not in modules
    assert "'local'" not in modules


def test_temporary_files_can_be_written_though_all_else_is_read_only(daemon: Docker) -> None:
    inside = ("run", "--rm", "--network", "none", "--read-only", "--entrypoint", "python", _IMAGE, "-c")

    told = daemon.run(*inside, "import tempfile; print(tempfile.TemporaryFile().write(b'certificates'))")

    assert told.strip() == "12"
    with pytest.raises(subprocess.CalledProcessError):
        daemon.run(*inside, "open('/opt/elsewhere', 'w')")


def _python(docker: Docker) -> str:
    """An image like Docker's own of Python, of Debian's: with `python`, `pip`, and what pip is told on this machine."""
    told = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    files: dict[str, str | Path] = {"pip": Path(pip.__file__).parent, "run-pip": _PIP}
    lines = [
        "RUN ln -s python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED",
        "COPY run-pip /usr/local/bin/pip",
        "COPY pip /usr/local/lib/python3/dist-packages/pip",
        "ENV PYTHONPATH=/usr/local/lib/python3/dist-packages",
    ]
    for source in (Path("/etc/pip.conf"), Path(told.get("PIP_CERT", ""))):
        if source.is_file():
            files[source.name] = source.read_text()
            lines.append(f"COPY {source.name} {source}")
    lines += [f'ENV {name}="{value}"' for name, value in told.items()]
    build_image(docker, _PYTHON, debian_image(docker), files, lines)
    return _PYTHON
