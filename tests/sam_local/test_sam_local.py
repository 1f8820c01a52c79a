"""Every function in a container, as `sam local` runs it, on what `sam build` made: its answers, memory and time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.sam.answers import play
from tests.sam.world import quiet_world
from tests.sam_local.containers import Containers, containers
from tests.sam_local.daemon import docker
from tests.sam_local.image import base_image
from tests.template.deployment import REPOSITORY

from penstock.local.children import free_ports

_PAGE = REPOSITORY / "docs" / "testing.md"
_BEGIN, _END = "<!-- begin: written by `make sam-local` -->\n", "<!-- end -->\n"


@pytest.fixture(scope="module")
def local(request: pytest.FixtureRequest) -> Iterator[tuple[Containers, str]]:
    """And what their image is."""
    if not request.config.getoption("--sam-local"):
        pytest.skip("every function in a container takes minutes: make sam-local")
    with docker() as daemon:
        base, told = base_image(daemon)
        with quiet_world() as world, containers(daemon, base, world, request.getfixturevalue("built")) as made:
            yield made, told


def test_every_function_answers_its_events_in_a_container_within_its_memory_and_time(
    local: tuple[Containers, str],
) -> None:
    made, image = local

    wrong = play(made.world, made.invoke)

    assert wrong == {}
    assert made.seen.keys() == {path.parent.name for path in made.built.glob("*/app.py")}
    for name, seen in made.seen.items():
        assert seen.memory == made.world.memory(name), f"{name}: the container's limit isn't the template's"
        assert 0 < seen.peak < seen.memory, f"{name}: {seen}"
        assert seen.slowest < made.world.timeout(name), f"{name}: {seen}"
    _write(made, image)


def test_a_function_that_wants_more_memory_than_it_is_given_is_killed(local: tuple[Containers, str]) -> None:
    made, _ = local

    with pytest.raises(AssertionError, match="signal: killed"):
        made.with_memory("ListIncoming", 40).invoke("ListIncoming", made.world.event("schedule-tick.json"))


def test_a_function_answers_by_start_lambda_as_lambdas_own_api_has_it(local: tuple[Containers, str]) -> None:
    made, _ = local
    with made.start_lambda(*free_ports(1)) as endpoint:
        client = boto3.client(
            "lambda",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

        told = client.invoke(FunctionName="ListIncoming", Payload=json.dumps(made.world.event("schedule-tick.json")))

        assert told["StatusCode"] == 200
        assert "FunctionError" not in told
        assert json.loads(told["Payload"].read())["listed"] is True


def _write(made: Containers, image: str) -> None:
    rows = [
        f"| {name} | {seen.answers} | {seen.slowest:.1f} of {made.world.timeout(name)} | {seen.peak} of {seen.memory} |"
        for name, seen in sorted(made.seen.items())
    ]
    table = [
        f"In {image}:\n",
        "| function | answers | slowest, seconds | most memory, MiB |",
        "|---|---|---|---|",
        *rows,
    ]
    before, _, rest = Path(_PAGE).read_text().partition(_BEGIN)
    _PAGE.write_text(f"{before}{_BEGIN}\n" + "\n".join(table) + f"\n\n{_END}{rest.partition(_END)[2]}")
