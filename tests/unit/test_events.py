"""Each file of events/ through the function that it is for, on ports in memory."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.counts import FakeCounts
from tests.fakes.leases import FakeLeases
from tests.fakes.object_store import FakeObjectStore
from tests.fakes.pipeline import FakePipeline
from tests.fakes.runs import FakeRuns
from tests.fakes.search_index import FakeSearchIndex
from tests.fakes.warehouse import FakeWarehouse
from tests.fakes.watches import FakeWatches
from tests.lambda_context import FakeContext

from penstock import wiring
from penstock.flows.reconcile_in_parts import Portion, Rounds
from penstock.handler import Handler
from penstock.model.arrivals import Arrival
from penstock.model.dataset_files import load_datasets
from penstock.model.errors import TransientError
from penstock.model.plans import Batch, Plan, plan_key
from penstock.model.rates import Rate
from penstock.triggers import Trigger, triggers_of

REPOSITORY = Path(__file__).parents[2]
EVENTS = REPOSITORY / "events"
PLAN = "20260115T101112-345-1a2b3c4d"
DATASETS = load_datasets(REPOSITORY / "datasets")
FLIGHTS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour\n"
    "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z\n"
    "2013,1,1,533,529,4,850,830,20,UA,1714,N24211,LGA,IAH,227,1416,5,29,2013-01-01T10:00:00Z\n"
)


@dataclass
class FakeSchema:
    applied: list[str] = field(default_factory=list)
    refuses: Exception | None = None

    def apply(self, datasets: dict[str, Any]) -> list[str]:
        if self.refuses:
            raise self.refuses
        self.applied += sorted(datasets)
        return [f"created the table of {name}" for name in sorted(datasets)]


@dataclass
class Stack:
    """What the functions are wired to."""

    store: FakeObjectStore = field(default_factory=FakeObjectStore)
    leases: FakeLeases = field(default_factory=FakeLeases)
    runs: FakeRuns = field(default_factory=FakeRuns)
    clock: FakeClock = field(default_factory=FakeClock)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    search: FakeSearchIndex = field(default_factory=FakeSearchIndex)
    pipeline: FakePipeline = field(default_factory=FakePipeline)
    schema: FakeSchema = field(default_factory=FakeSchema)

    def arrive(self) -> Arrival:
        return self.store.put("incoming/flights/2013/2013-01-01.csv", FLIGHTS.encode())

    def plan(self) -> Arrival:
        """A file that has arrived, and the plan that the events are about, with it in its batch 0."""
        arrival = self.arrive()
        plan = Plan(PLAN, datetime(2026, 1, 15, 10, 11, 12, tzinfo=UTC), (Batch(0, "flights", (arrival,)),))
        self.store.put_json(plan_key(PLAN), plan.to_json())
        return arrival


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    made = Stack()
    monkeypatch.setenv("PENSTOCK_BUCKET", "landing")
    monkeypatch.setenv("PENSTOCK_LEASE_TABLE", "leases")
    monkeypatch.setattr(wiring, "described_views", dict)
    wiring.settings.cache_clear()
    for name in ("store", "leases", "runs", "clock", "warehouse", "search", "schema"):
        monkeypatch.setattr(wiring, name, lambda name=name: getattr(made, name))
    monkeypatch.setattr(wiring, "datasets", lambda: DATASETS)
    monkeypatch.setattr(wiring, "pipeline", lambda *_, **__: made.pipeline)
    monkeypatch.setattr(wiring, "forget_connections", lambda: None)
    yield made
    wiring.settings.cache_clear()


def event(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return read


def handler_of(function: str) -> Handler:
    handler: Handler = importlib.import_module(f"functions.{function}.app").handler
    return handler


@pytest.mark.parametrize(
    ("name", "triggers"),
    [
        ("s3-put.json", {Trigger.ARRIVAL: 1}),
        ("sqs-s3-put.json", {Trigger.ARRIVAL: 2}),
        ("eventbridge-object-created.json", {Trigger.ARRIVAL: 1}),
        ("schedule-tick.json", {Trigger.SCHEDULE: 1}),
        ("execution-failed.json", {Trigger.RUN_ENDED: 1}),
    ],
)
def test_whatever_the_trigger_what_is_there_is_listed_and_a_run_started(
    stack: Stack, name: str, triggers: dict[Trigger, int]
) -> None:
    stack.arrive()

    answer = handler_of("list_incoming")(event(name), FakeContext())

    assert triggers_of(event(name)) == triggers
    assert answer["listed"]
    assert [plan for plan, _ in stack.runs.started] == answer["plans"]
    assert len(answer["plans"]) == 1


def test_a_file_that_no_event_named_is_found_all_the_same(stack: Stack) -> None:
    stack.store.put("incoming/planes/another.csv", b"tailnum\n")

    answer = handler_of("list_incoming")(event("s3-put.json"), FakeContext())

    assert len(answer["plans"]) == 1


def test_s3s_test_event_lists_nothing(stack: Stack) -> None:
    stack.arrive()

    answer = handler_of("list_incoming")(event("sqs-s3-test-event.json"), FakeContext())

    assert answer == {"listed": False}
    assert stack.runs.started == []


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"Records": []},
        {"Records": [{"eventSource": "aws:sqs", "body": "no JSON"}]},
        {"Records": [{"eventSource": "aws:sqs", "body": "[1]"}]},
        {"Records": [{"eventSource": "aws:sqs"}, None]},
        {"Records": "?"},
        {"source": ["aws.s3"]},
    ],
)
def test_a_shape_that_is_not_known_is_a_reason_to_list_like_any_other(stack: Stack, odd: dict[str, Any]) -> None:
    stack.arrive()

    answer = handler_of("list_incoming")(odd, FakeContext())

    assert set(triggers_of(odd)) == {Trigger.OTHER}
    assert len(answer["plans"]) == 1


def test_begin_load_loads_the_batch_of_its_event(stack: Stack) -> None:
    stack.plan()

    answer = handler_of("begin_load")(event("begin-load.json"), FakeContext())

    assert answer == {"status": "done", "handle": ""}
    assert len(stack.warehouse.rows(DATASETS["flights"])) == 2


def test_poll_load_asks_after_the_load_of_its_event(stack: Stack) -> None:
    stack.plan()

    answer = handler_of("poll_load")(event("poll-load.json"), FakeContext())

    assert answer == {"status": "done", "handle": ""}


def test_index_batch_indexes_the_batch_of_its_event(stack: Stack) -> None:
    stack.plan()

    answer = handler_of("index_batch")(event("index-batch.json"), FakeContext())

    assert answer == {"status": "done", "documents": 2, "rejected": 0}
    assert stack.search.count("flights") == 2


def test_index_batch_waits_for_the_load_where_documents_have_keys_and_follows_it_when_it_has_ended(
    stack: Stack,
) -> None:
    arrival = stack.store.put("incoming/airlines/a.csv", b"carrier,name\nUA,United\n")
    plan = Plan(PLAN, datetime(2026, 1, 15, 10, 11, 12, tzinfo=UTC), (Batch(0, "airlines", (arrival,)),))
    stack.store.put_json(plan_key(PLAN), plan.to_json())

    beside = handler_of("index_batch")(event("index-batch.json"), FakeContext())
    handler_of("begin_load")(event("begin-load.json"), FakeContext())
    after = handler_of("index_batch")(event("index-batch-after-load.json"), FakeContext())

    assert beside == {"status": "waiting", "documents": 0, "rejected": 0}
    assert after == {"status": "done", "documents": 1, "rejected": 0}


def test_settle_batch_moves_what_both_branches_have_done(stack: Stack) -> None:
    arrival = stack.plan()
    handler_of("begin_load")(event("begin-load.json"), FakeContext())
    handler_of("index_batch")(event("index-batch.json"), FakeContext())

    answer = handler_of("settle_batch")(event("settle-batch.json"), FakeContext())

    assert answer == {"processed": 1, "failed": 0, "put_back": 0}
    assert list(stack.store.keys("processed/")) == [f"processed/flights/2013/{arrival.id}-2013-01-01.csv"]


def test_settle_batch_puts_back_what_could_not_be_indexed(stack: Stack) -> None:
    arrival = stack.plan()
    handler_of("begin_load")(event("begin-load.json"), FakeContext())

    answer = handler_of("settle_batch")(event("settle-batch-failed-search.json"), FakeContext())

    assert answer == {"processed": 0, "failed": 0, "put_back": 1}
    assert "the index answered 503" in stack.leases.waiting()[arrival.id].reason
    assert "stackTrace" not in stack.leases.waiting()[arrival.id].reason


def test_summarise_run_says_what_the_run_of_its_event_did(stack: Stack) -> None:
    stack.plan()
    handler_of("begin_load")(event("begin-load.json"), FakeContext())
    handler_of("index_batch")(event("index-batch.json"), FakeContext())
    handler_of("settle_batch")(event("settle-batch.json"), FakeContext())

    answer = handler_of("summarise_run")(event("summarise-run.json"), FakeContext())

    assert answer["ok"] is True
    assert answer["kick_offs"] == [{"plan": PLAN, "dataset": "flights"}]
    assert set(answer) == {"subject", "message", "ok", "kick_offs"}


def test_kick_off_starts_the_pipeline_of_its_dataset(stack: Stack) -> None:
    answer = handler_of("kick_off")(event("kick-off.json"), FakeContext())

    assert answer["reference"]
    assert stack.pipeline.started == [(PLAN, "flights", {"processed": "processed/flights/"})]


def test_apply_datasets_called_by_hand_says_what_it_did(stack: Stack) -> None:
    answer = handler_of("apply_datasets")({}, FakeContext())

    assert answer["did"][0] == "created the table of airlines"
    assert stack.schema.applied == sorted(DATASETS)


def test_apply_datasets_called_by_hand_raises_what_goes_wrong(stack: Stack) -> None:
    stack.schema.refuses = TransientError("the warehouse does not answer")

    with pytest.raises(TransientError, match="does not answer"):
        handler_of("apply_datasets")({}, FakeContext())


def test_reconcile_publishes_how_many_files_disagree_and_leaves_a_report(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    arrival = stack.plan()
    handler_of("begin_load")(event("begin-load.json"), FakeContext())

    answer = handler_of("reconcile")(event("reconcile-schedule.json"), FakeContext())

    assert answer["disagreements"] == 1
    report = stack.store.get_json(answer["report"])
    assert [(one["arrival"], one["kind"]) for one in report["disagreements"]] == [(arrival.id, "not_settled")]
    published = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "CloudWatchMetrics" in line]
    by_dataset = {one.get("Dataset", "all of them"): one["Disagreements"] for one in published}
    assert by_dataset == {"all of them": [1.0], **{name: [float(name == "flights")] for name in DATASETS}}


def test_reconcile_says_where_it_stands_and_publishes_nothing_until_all_is_judged(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.reconcile.app.Rounds", partial(Rounds, portion=Portion(facts=1)))
    stack.plan()
    handler_of("begin_load")(event("begin-load.json"), FakeContext())
    reconcile, tick, goes_on = handler_of("reconcile"), event("reconcile-schedule.json"), {"goes_on": True}

    none_open = reconcile(goes_on, FakeContext())
    answer = reconcile(tick, FakeContext())
    first, too_early = answer["round"], "CloudWatchMetrics" in capsys.readouterr().out
    while "round" in answer:
        answer = reconcile(goes_on, FakeContext())

    assert none_open == {"round": ""}
    assert first.endswith("now reading ledger of public.flights")
    assert not too_early
    assert answer["disagreements"] == 1
    assert "CloudWatchMetrics" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "looked"),
    [
        ({}, datetime(2026, 1, 15, 10, 1, tzinfo=UTC)),
        ({"time": "2026-01-15T12:30:00Z"}, datetime(2026, 1, 15, 12, 30, tzinfo=UTC)),
        ({"time": "2026-01-16T09:00:00Z"}, datetime(2026, 1, 15, 23, 30, tzinfo=UTC)),
        ({"time": "2026-01-15T12:30:00Z", "source": "by hand"}, datetime(2026, 1, 15, 23, 30, tzinfo=UTC)),
        ({"time": "soon"}, datetime(2026, 1, 15, 23, 30, tzinfo=UTC)),
    ],
    ids=["as it comes", "later", "never ahead of the clock", "not of a rule", "no time"],
)
def test_watch_rate_looks_as_of_when_its_rule_was_due(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], looked: datetime
) -> None:
    rate, watches = Rate(name="departures", type="departure", window=timedelta(hours=1), at_least=1), FakeWatches()
    stack.clock.at = datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    for name, made in {"rates": {rate.name: rate}, "counts": FakeCounts(), "watches": watches, "notices": None}.items():
        monkeypatch.setattr(wiring, name, lambda made=made: made)

    handler_of("watch_rate")({**event("watch-rate.json"), **given}, FakeContext())

    assert watches.read(rate.name).judged == rate.begin(looked) + rate.window


@pytest.mark.parametrize(
    "function", ["begin_load", "poll_load", "index_batch", "settle_batch", "summarise_run", "kick_off"]
)
def test_a_step_refuses_an_event_that_names_no_plan(stack: Stack, function: str) -> None:
    with pytest.raises(Exception, match="'plan' must be a text") as caught:
        handler_of(function)({"batch": 0}, FakeContext())

    assert type(caught.value).__name__ == "PermanentError"


def test_every_event_is_used_by_a_test() -> None:
    asking = [*Path(__file__).parent.glob("test_*.py"), REPOSITORY / "tests" / "sam" / "answers.py"]
    tests = "".join(path.read_text() for path in asking)

    assert [path.name for path in sorted(EVENTS.iterdir()) if f'"{path.name}"' not in tests] == []
