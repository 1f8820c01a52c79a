"""The machine on each engine: the embedded one always, AWS's image where Docker has it, any other by its endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import free_port
from tests.workflow.definition import definition
from tests.workflow.engines import Machine, client_of, embedded, has_image, step_functions_local


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "machine" in metafunc.fixturenames:
        given = metafunc.config.getoption("--sfn-endpoint")
        names = ["given endpoint"] if given else ["embedded engine", *(["Step Functions Local"] if has_image() else [])]
        metafunc.parametrize("machine", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    match request.param:
        case "given endpoint":
            endpoint = str(request.config.getoption("--sfn-endpoint"))
            made = Machine(client_of(endpoint), definition())
            yield made
            made.delete()
        case "Step Functions Local":
            with step_functions_local(free_port()) as endpoint:
                yield Machine(client_of(endpoint), definition())
        case _:
            with embedded(free_port(), tmp_path_factory.mktemp("engine")) as endpoint:
                yield Machine(client_of(endpoint), definition())
