"""The machines on each engine: the embedded one always, AWS's image where Docker has it, any other by its endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import free_port
from tests.workflow.definition import REBUILD_VIEWS, definition
from tests.workflow.engines import Machine, client_of, embedded, has_image, step_functions_local


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        given = metafunc.config.getoption("--sfn-endpoint")
        names = ["given endpoint"] if given else ["embedded engine", *(["Step Functions Local"] if has_image() else [])]
        metafunc.parametrize("engine", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its endpoint."""
    match request.param:
        case "given endpoint":
            yield str(request.config.getoption("--sfn-endpoint"))
        case "Step Functions Local":
            with step_functions_local(free_port()) as endpoint:
                yield endpoint
        case _:
            with embedded(free_port(), tmp_path_factory.mktemp("engine")) as endpoint:
                yield endpoint


@pytest.fixture(scope="session")
def machine(engine: str) -> Iterator[Machine]:
    """ingest.asl.yaml"""
    made = Machine(client_of(engine), definition())
    yield made
    made.delete()


@pytest.fixture(scope="session")
def rebuilding(engine: str) -> Iterator[Machine]:
    """rebuild_views.asl.yaml"""
    made = Machine(client_of(engine), definition(REBUILD_VIEWS), "RebuildViews")
    yield made
    made.delete()
