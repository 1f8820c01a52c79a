from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.fakes.leases import FakeLeases
from tests.fakes.pipeline import FakePipeline

from penstock.flows.kick_off import kick_off
from penstock.model.datasets import Dataset
from penstock.model.errors import PermanentError, TransientError


def dataset(kick: dict[str, Any] | None) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "flights",
            "prefix": "flights/",
            "format": "csv",
            "columns": [{"name": "id", "type": "integer"}],
            "table": "flights",
            "kick_off": kick,
        }
    )


ASKS = {"flights": dataset({"data_pipeline": True, "parameters": {"table": "public.flights"}})}


def test_it_is_started_with_the_run_the_dataset_and_its_parameters() -> None:
    pipeline, leases = FakePipeline(), FakeLeases()

    answer = kick_off(leases, lambda _: pipeline, ASKS, "run-1", "flights")

    assert pipeline.started == [("run-1", "flights", {"processed": "processed/flights/", "table": "public.flights"})]
    assert answer == {"reference": "fake-run-1-flights"}
    assert leases.kick_offs == {("run-1", "flights"): "fake-run-1-flights"}


def test_it_is_not_started_twice_for_one_run() -> None:
    pipeline, leases = FakePipeline(), FakeLeases()

    kick_off(leases, lambda _: pipeline, ASKS, "run-1", "flights")
    again = kick_off(leases, lambda _: pipeline, ASKS, "run-1", "flights")
    kick_off(leases, lambda _: pipeline, ASKS, "run-2", "flights")

    assert again == {"reference": ""}
    assert [run for run, _, _ in pipeline.started] == ["run-1", "run-2"]


def test_one_that_failed_can_be_tried_again() -> None:
    class Fails(FakePipeline):
        def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
            raise TransientError("throttled")

    leases, pipeline = FakeLeases(), FakePipeline()

    with pytest.raises(TransientError):
        kick_off(leases, lambda _: Fails(), ASKS, "run-1", "flights")
    kick_off(leases, lambda _: pipeline, ASKS, "run-1", "flights")

    assert len(pipeline.started) == 1


@pytest.mark.parametrize("datasets", [{}, {"flights": dataset(None)}])
def test_a_dataset_that_asks_for_none_is_a_permanent_error(datasets: dict[str, Dataset]) -> None:
    with pytest.raises(PermanentError, match="flights"):
        kick_off(FakeLeases(), lambda _: FakePipeline(), datasets, "run-1", "flights")
