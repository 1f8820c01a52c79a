"""Every function under AWS's own emulator of Lambda's runtime, on what `sam build` made and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.sam.answers import AFTER_A_FILE_ARRIVED, BEFORE_ANYTHING_ARRIVED, play
from tests.sam.emulator import Emulated, emulated
from tests.sam.runtime import runtime
from tests.sam.world import World, quiet_world

pytestmark = pytest.mark.xdist_group("sam build")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with quiet_world() as made:
        yield made


def test_every_function_answers_its_events_within_its_memory(world: World, built: Path, tmp_path: Path) -> None:
    functions: dict[str, Emulated] = {}
    lambdas_own = runtime(tmp_path)
    with ExitStack() as running:

        def invoke(name: str, event: dict[str, Any]) -> dict[str, Any]:
            if name not in functions:
                functions[name] = running.enter_context(
                    emulated(
                        [built / name, built / "PenstockLayer" / "python", lambdas_own],
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
