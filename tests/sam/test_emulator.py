"""Every function under AWS's own emulator of Lambda's runtime, on what `sam build` made and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sam.answers import AFTER_A_FILE_ARRIVED, BEFORE_ANYTHING_ARRIVED, play
from tests.sam.lambda_api import emulated_functions
from tests.sam.world import World, quiet_world

pytestmark = pytest.mark.xdist_group("sam build")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with quiet_world() as made:
        yield made


def test_every_function_answers_its_events_within_its_memory(world: World, built: Path, tmp_path: Path) -> None:
    with emulated_functions(world, built, tmp_path) as functions:
        wrong = play(world, functions.invoke)

        assert wrong == {}
        peaks = {name: one.peak_memory() for name, one in functions.started.items()}
        assert {name: peak for name, peak in peaks.items() if peak > world.memory(name)} == {}
    assert functions.started.keys() == {path.parent.name for path in built.glob("*/app.py")}


def test_every_function_of_the_template_is_asked(built: Path) -> None:
    asked = {step.function for step in (*BEFORE_ANYTHING_ARRIVED, *AFTER_A_FILE_ARRIVED)}

    assert asked == {path.parent.name for path in built.glob("*/app.py")}
