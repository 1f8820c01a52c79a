from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.flows.backlog import Backlog
from penstock.flows.list_incoming import Listing
from penstock.metrics import publish_backlog

WELL = {
    "BacklogGrowingMinutes": 0,
    "BacklogStuckMinutes": 0,
    "RunsEndedBadly": 0,
    "SilentDatasets": 0,
    "FilesNotSettled": 0,
}
AT = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _as_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "penstock")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Penstock")


def published(listing: Listing, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """What is published, by the values of its dimensions."""
    publish_backlog("prod", listing)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    directives = [(line, line["_aws"]["CloudWatchMetrics"][0]) for line in lines]
    assert {directive["Namespace"] for _, directive in directives} == {"Penstock"}
    return {
        tuple(line[name] for name in directive["Dimensions"][0]): {
            metric["Name"]: line[metric["Name"]][0] for metric in directive["Metrics"]
        }
        for line, directive in directives
    }


def test_the_backlog_is_published_for_the_stack_and_for_each_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing(
        listed=True,
        at=AT,
        backlog={
            "flights": Backlog(files=3, bytes=900, oldest=AT - timedelta(seconds=90)),
            "weather": Backlog(files=1, bytes=100, oldest=AT - timedelta(seconds=600)),
        },
    )

    metrics = published(listing, capsys)

    assert metrics["prod",] == {"BacklogFiles": 4, "BacklogBytes": 1000, "BacklogOldestSeconds": 600, **WELL}
    assert metrics["prod", "flights"] == {"BacklogFiles": 3, "BacklogBytes": 900, "BacklogOldestSeconds": 90}
    assert metrics["prod", "weather"] == {"BacklogFiles": 1, "BacklogBytes": 100, "BacklogOldestSeconds": 600}


def test_without_a_backlog_the_stack_publishes_zeros_and_its_datasets_nothing_that_would_be_billed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = published(Listing(listed=True, at=AT, backlog={"flights": Backlog()}), capsys)

    nothing = {"BacklogFiles": 0, "BacklogBytes": 0, "BacklogOldestSeconds": 0}
    assert metrics == {("prod",): {**nothing, **WELL}}


def test_how_the_backlog_goes_and_who_is_silent_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    listing = Listing(
        listed=True,
        at=AT,
        backlog={name: Backlog() for name in ("flights", "weather", "planes")},
        growing_minutes=12.5,
        stuck_minutes=3.5,
        ended_badly=2,
        silent={"flights": True, "weather": False},
    )

    metrics = published(listing, capsys)

    went = {"BacklogGrowingMinutes": 12.5, "BacklogStuckMinutes": 3.5, "RunsEndedBadly": 2, "SilentDatasets": 1}
    assert went.items() <= metrics["prod",].items()
    silent = {dimensions[1]: told for dimensions, told in metrics.items() if len(dimensions) == 2}
    assert silent == {"flights": {"SilentDatasets": 1}, "weather": {"SilentDatasets": 0}}


def test_the_dimensions_are_those_that_the_alarm_names(capsys: pytest.CaptureFixture[str]) -> None:
    publish_backlog("prod", Listing(listed=True, at=AT, backlog={"flights": Backlog(files=1, bytes=9, oldest=AT)}))

    dimensions = [
        json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in capsys.readouterr().out.splitlines()
    ]
    assert dimensions == [[["Stack"]], [["Stack", "Dataset"]]]
