"""Every function under AWS's own emulator of Lambda's runtime, on what `sam build` made and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import awslambdaric  # type: ignore[import-untyped] # No types.
import pytest
from tests.sam.answers import AFTER_A_FILE_ARRIVED, BEFORE_ANYTHING_ARRIVED, play
from tests.sam.emulator import Emulated, emulated
from tests.sam.world import World, quiet_world

pytestmark = pytest.mark.xdist_group("sam build")

_OF_THE_RUNTIME = (
    *("awslambdaric", "runtime_client*", "simplejson", "snapshot_restore_py"),
    *("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3"),
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with quiet_world() as made:
        yield made


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's Python runtime has without the function's doing."""
    folder, installed = tmp_path_factory.mktemp("runtime"), Path(awslambdaric.__file__).parents[1]
    for pattern in _OF_THE_RUNTIME:
        for found in installed.glob(pattern):
            (folder / found.name).symlink_to(found)
    return folder


def test_every_function_answers_its_events_within_its_memory(world: World, built: Path, runtime: Path) -> None:
    functions: dict[str, Emulated] = {}
    with ExitStack() as running:

        def invoke(name: str, event: dict[str, Any]) -> dict[str, Any]:
            if name not in functions:
                functions[name] = running.enter_context(
                    emulated(
                        [built / name, built / "PenstockLayer" / "python", runtime],
                        world.environment(name, str(built / "DatasetsLayer" / "datasets")),
                        world.memory(name),
                        world.timeout(name),
                    )
                )
            return functions[name].invoke(event)

        wrong = play(world, invoke)

        assert wrong == {}
        over = {name: peak for name, one in functions.items() if (peak := one.peak_memory()) > world.memory(name)}
        assert over == {}
    assert functions.keys() == {path.parent.name for path in built.glob("*/app.py")}


def test_every_function_of_the_template_is_asked(built: Path) -> None:
    asked = {step.function for step in (*BEFORE_ANYTHING_ARRIVED, *AFTER_A_FILE_ARRIVED)}

    assert asked == {path.parent.name for path in built.glob("*/app.py")}
