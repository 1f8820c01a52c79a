"""Whether a function can work a file in its time: told by its size, before it is begun, so that none is cut off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.model.arrivals import Arrival
from penstock.model.datasets import Compression, Dataset
from penstock.model.plans import Batch

USABLE_SECONDS = 600
"""Of a function's 900. A load's transaction ends at 840; what is between is for days on which all is slower."""
ASSUMED_RATE = 10_000_000
"""Bytes a second of a dataset of which nothing was measured: a tenth of what PostgreSQL takes on a small machine."""
SLOWEST_RATE = 1_000_000
"""No measured rate below it is believed: that was a destination in trouble, and no file's fault."""
MEASURED_FROM = 64 * 2**20
"""Bytes of a batch from which on its time says something about bytes."""
_UNPACKS_TO = 10
"""Times a compressed file's size: what text unpacks to, mostly. Its limits say what it may unpack to at most."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a function is bound to, and a task is not."""

    has_task: bool = False
    """Whether the stack has one for what a function has no time for."""


def expected_bytes(dataset: Dataset, arrival: Arrival) -> int:
    """What is to be read of it, unpacked."""
    if dataset.compression_of(arrival.key) is Compression.NONE:
        return arrival.size
    return min(arrival.size * min(_UNPACKS_TO, dataset.limits.max_ratio), dataset.limits.max_uncompressed)


def seconds_needed(dataset: Dataset, arrival: Arrival, rate: int) -> float:
    """`rate` is in expected bytes a second, as earlier loads of the dataset have shown; 0 when none has."""
    return expected_bytes(dataset, arrival) / (max(rate, SLOWEST_RATE) if rate else ASSUMED_RATE)


def is_huge(dataset: Dataset, arrival: Arrival, rate: int) -> bool:
    return seconds_needed(dataset, arrival, rate) > USABLE_SECONDS


def refused_as_huge(bound: Bound | None, dataset: Dataset, batch: Batch) -> Mapping[str, str] | None:
    """By arrival id, why a function can't work it in its time; None where a task is to work the batch."""
    if bound is None:
        return {}
    huge = {one.id: _why(dataset, one, batch.rate) for one in batch.arrivals if is_huge(dataset, one, batch.rate)}
    return None if huge and bound.has_task else huge


def _why(dataset: Dataset, arrival: Arrival, rate: int) -> str:
    how = f"measured of dataset {dataset.name}" if rate else "assumed, none was measured yet"
    packed = "" if dataset.compression_of(arrival.key) is Compression.NONE else ", compressed"
    used = max(rate, SLOWEST_RATE) if rate else ASSUMED_RATE
    return (
        f"it has {arrival.size:,} bytes{packed}, and at {used / 1e6:.1f} MB a second ({how}) it takes "
        f"{seconds_needed(dataset, arrival, rate):,.0f} s: more than the {USABLE_SECONDS} s that a function has for "
        "it. Nothing of it was begun. Set the stack's TaskImage and TaskCluster, so that a Fargate task loads such "
        "a file, and deploy; then `penstock retry` it. Or split it"
    )
