"""What a stack's functions have spent: by what Lambda reports of each call, and by what each call logs itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from penstock.local.billing import Call, Told, billed_calls, told_by_calls


@dataclass(frozen=True)
class Spent:
    """`cpu_ms` and `wall_ms` of one call on average; the peak is that of the largest worker, libraries and all."""

    function: str
    calls: int
    cpu_ms: float
    wall_ms: float
    gb_seconds: float
    peak_mib: int


def spent_by_function(logs: Any, stack: str) -> list[Spent]:
    billed: defaultdict[str, list[Call]] = defaultdict(list)
    told: defaultdict[str, list[Told]] = defaultdict(list)
    for call in billed_calls(logs, stack):
        billed[call.function].append(call)
    for one in told_by_calls(logs, stack):
        told[one.function].append(one)
    return [
        Spent(
            function,
            len(calls),
            round(fmean(one.cpu_ms for one in told[function]), 1) if told[function] else 0.0,
            round(fmean(call.seconds for call in calls) * 1000, 1),
            round(sum(call.gb_seconds for call in calls), 3),
            max((one.peak_mib for one in told[function]), default=0),
        )
        for function, calls in sorted(billed.items())
    ]
