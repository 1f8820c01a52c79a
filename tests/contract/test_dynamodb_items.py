"""What the lease table holds and what it costs: nothing of this shows through the port."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.contract.test_leases_contract import MINUTE, NOW, attempt, held, run

from penstock.adapters.dynamodb import DynamoLeases
from penstock.adapters.dynamodb_items import KEPT
from penstock.model.errors import TransientError
from penstock.ports import Memo


@pytest.fixture
def leases(dynamodb: Any, table: str) -> DynamoLeases:
    return DynamoLeases(dynamodb, table)


def test_a_run_of_any_size_is_one_item(leases: DynamoLeases, dynamodb: Any, table: str) -> None:
    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), run())

    items = dynamodb.scan(TableName=table)["Items"]

    assert sorted(item["pk"]["S"] for item in items) == ["listing", "run"]


def test_only_what_is_live_is_in_the_index(leases: DynamoLeases, dynamodb: Any, table: str) -> None:
    lease = held(leases.acquire_listing("a", NOW, MINUTE))
    for number in range(3):
        leases.record_run(lease, run(number))
    leases.end_run(run(1).id, run().status, NOW)
    leases.put_back([attempt("a")])
    leases.finish_kick_off("run", "flights", "df-1")

    found = dynamodb.scan(TableName=table, IndexName="live")["Items"]

    assert sorted(item["sk"]["S"] for item in found) == [run(0).id, run(2).id, "a"]


def test_items_outlive_their_use_by_a_quarter_of_a_year(leases: DynamoLeases, dynamodb: Any, table: str) -> None:
    leases.record_run(held(leases.acquire_listing("a", NOW, MINUTE)), run())
    leases.put_back([attempt("a")])

    ends = {item["pk"]["S"]: item.get("expires_at") for item in dynamodb.scan(TableName=table)["Items"]}

    assert ends["run"] == {"N": str(int((run().expires + KEPT).timestamp()))}
    assert ends["arrival"] == {"N": str(int((NOW + MINUTE + KEPT).timestamp()))}
    assert ends["listing"] is None
    assert timedelta(days=89) < KEPT


class Throttled:
    """DynamoDB as it is under load: a batch is written in part, and the answer is 200."""

    def __init__(self, client: Any, keep: int) -> None:
        self._client, self._keep = client, keep
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803 - the client's own
        self.calls += 1
        ((table, requests),) = RequestItems.items()
        done, left = requests[: self._keep], requests[self._keep :]
        if done:
            self._client.batch_write_item(RequestItems={table: done})
        return {"UnprocessedItems": {table: left} if left else {}}


def test_what_a_batch_left_undone_is_written_again(dynamodb: Any, table: str) -> None:
    throttled = Throttled(dynamodb, keep=10)

    DynamoLeases(throttled, table).put_back([attempt(f"{number}") for number in range(30)])  # type: ignore[arg-type] # It has what is called.

    assert len(DynamoLeases(dynamodb, table).waiting()) == 30
    assert throttled.calls == 4


def test_what_is_read_for_a_batch_does_not_grow_with_all_that_wait(dynamodb: Any, table: str) -> None:
    leases = DynamoLeases(dynamodb, table)
    leases.put_back([attempt(f"{number:032x}") for number in range(400)])
    read: list[int] = []
    dynamodb.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: read.append(parsed["ScannedCount"]))

    leases.attempts_of([f"{number:032x}" for number in (5, 399)])
    leases.forget([f"{number:032x}" for number in (5, 399)])

    assert sum(read) == 2 * (100 + 2)


def test_a_table_that_writes_nothing_is_asked_ever_more_seldom_and_not_for_ever(
    dynamodb: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled = Throttled(dynamodb, keep=0)
    pauses: list[float] = []

    monkeypatch.setattr("tenacity.wait.random.uniform", lambda _least, most: most)
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)

    with pytest.raises(TransientError, match="throttled"):
        DynamoLeases(throttled, table).put_back([attempt("a")])  # type: ignore[arg-type] # It has what is called.

    assert throttled.calls < 20
    assert len(pauses) == throttled.calls - 1
    assert all(later == 2 * earlier for earlier, later in pairwise(pauses))
    assert 1 < sum(pauses) < 10


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (["ConditionalCheckFailed", "None"], "another listing holds the lease"),
        (["TransactionConflict", "None"], "(TransactionConflict)"),
        (["None", "ThrottlingError"], "(ThrottlingError)"),
    ],
)
def test_a_run_that_is_not_recorded_says_whether_it_was_overtaken(
    dynamodb: Any, table: str, codes: list[str], told: str
) -> None:
    class Cancelling(Throttled):
        def transact_write_items(self, **_: Any) -> None:
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": code} for code in codes],
            }
            raise ClientError(answer, "TransactWriteItems")

    lease = held(DynamoLeases(dynamodb, table).acquire_listing("a", NOW, MINUTE))

    with pytest.raises(TransientError) as raised:
        DynamoLeases(Cancelling(dynamodb, keep=0), table).record_run(lease, run())  # type: ignore[arg-type] # As above.

    assert told in str(raised.value)


@pytest.mark.parametrize("wrong", [{}, {"text": {"N": "7"}, "version": {"S": "x"}}, {"text": {"S": "{"}}])
def test_a_memo_that_someone_changed_by_hand_is_replaced(
    leases: DynamoLeases, dynamodb: Any, table: str, wrong: dict[str, Any]
) -> None:
    dynamodb.put_item(
        TableName=table, Item={"pk": {"S": "memo"}, "sk": {"S": "flights"}, "live": {"S": "flights"}, **wrong}
    )

    kept = leases.keep_memo(replace(leases.memos()["flights"], text="mended"))

    assert kept
    assert leases.memos() == {"flights": Memo("flights", "mended", 1)}
