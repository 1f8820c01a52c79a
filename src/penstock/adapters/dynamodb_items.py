"""What lies in the lease table, item by item: as each is written, and as it is read again.

| pk       | sk         | what it is                                                | `live`                       |
|----------|------------|-----------------------------------------------------------|------------------------------|
| run      | plan id    | a run; while live it leases all arrivals of its plan      | while the run is live        |
| arrival  | arrival id | attempts and not_before of one that was put back          | until it is settled          |
| listing  | listing    | who lists; its token fences off whoever listed before     | never                        |
| breaker  | destination| that a destination is down, and when it is tried again    | while it is open             |
| memo     | its name   | what a listing leaves for the next                        | always                       |
| kick_off | run#dataset| what a run kicked off for a dataset                       | never                        |

`live` puts an item into the index of that name. `expires_at` (epoch seconds) is DynamoDB's TTL, for tidying alone;
nothing here trusts it to be on time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from penstock.adapters.dynamodb_table import packed
from penstock.model.backfills import Claim
from penstock.model.breakers import Breaker
from penstock.ports import Attempt, Memo, RunRecord, RunStatus

KEPT = timedelta(days=90)
"""How long history is kept after its last use: as long as Step Functions keeps an execution."""


def run_item(run: RunRecord) -> dict[str, Any]:
    return packed(
        {
            "pk": "run",
            "sk": run.id,
            "live": run.id,
            "execution": run.execution,
            "started": run.started.isoformat(),
            "expires": run.expires.isoformat(),
            "batches": run.batches,
            "files": run.files,
            "bytes": run.bytes,
            "datasets": dict(run.datasets),
            "sizes": dict(run.sizes),
            "status": run.status.value,
            "expires_at": int((run.expires + KEPT).timestamp()),
            **({"claim": run.claim.to_json()} if run.claim else {}),
        }
    )


def run_of(item: Mapping[str, Any]) -> RunRecord:
    return RunRecord(
        id=item["sk"],
        execution=item["execution"],
        started=datetime.fromisoformat(item["started"]),
        expires=datetime.fromisoformat(item["expires"]),
        batches=int(item["batches"]),
        files=int(item["files"]),
        bytes=int(item["bytes"]),
        datasets={name: int(files) for name, files in item["datasets"].items()},
        sizes={name: int(size) for name, size in item.get("sizes", {}).items()},
        live="live" in item,
        status=RunStatus(item["status"]),
        ended=datetime.fromisoformat(item["ended"]) if "ended" in item else None,
        claim=Claim.from_json(item["claim"]) if "claim" in item else None,
    )


def attempt_item(attempt: Attempt) -> dict[str, Any]:
    return packed(
        {
            "pk": "arrival",
            "sk": attempt.arrival,
            "live": attempt.arrival,
            "attempts": attempt.attempts,
            "not_before": attempt.not_before.isoformat(),
            "reason": attempt.reason,
            "run": attempt.run,
            "crashes": attempt.crashes,
            "unsettled": attempt.unsettled,
            "expires_at": int((attempt.not_before + KEPT).timestamp()),
        }
    )


def attempt_of(item: Mapping[str, Any]) -> Attempt:
    return Attempt(
        arrival=item["sk"],
        attempts=int(item["attempts"]),
        not_before=datetime.fromisoformat(item["not_before"]),
        reason=item["reason"],
        run=item["run"],
        crashes=int(item.get("crashes", 0)),
        unsettled=int(item.get("unsettled", 0)),
    )


def breaker_item(breaker: Breaker) -> dict[str, Any]:
    return packed(
        {
            "pk": "breaker",
            "sk": breaker.destination,
            "live": breaker.destination,
            "opened": breaker.opened.isoformat(),
            "probe_at": breaker.probe_at.isoformat(),
            "failures": breaker.failures,
            "reason": breaker.reason,
            "probe": breaker.probe,
            "expires_at": int((breaker.probe_at + KEPT).timestamp()),
        }
    )


def breaker_of(item: Mapping[str, Any]) -> Breaker:
    return Breaker(
        destination=item["sk"],
        opened=datetime.fromisoformat(item["opened"]),
        probe_at=datetime.fromisoformat(item["probe_at"]),
        failures=int(item["failures"]),
        reason=item["reason"],
        probe=item["probe"],
    )


def memo_item(memo: Memo) -> dict[str, Any]:
    """As the next version of it."""
    return packed({"pk": "memo", "sk": memo.name, "live": memo.name, "text": memo.text, "version": memo.version + 1})


def memo_of(item: Mapping[str, Any]) -> Memo:
    """Of an item that someone changed by hand to make no sense: no text, and the version by which it is replaced."""
    text, version = item.get("text"), item.get("version")
    return Memo(item["sk"], text if isinstance(text, str) else "", int(version) if isinstance(version, Decimal) else 0)


def kick_off_key(run: str, dataset: str) -> dict[str, Any]:
    return {"pk": {"S": "kick_off"}, "sk": {"S": f"{run}#{dataset}"}}
