"""What CloudWatch is told, as metrics, by a line in the log (Embedded Metric Format): no call, and no permission."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from penstock.model.breakers import DESTINATIONS

if TYPE_CHECKING:  # For their types alone: each function would import the flows of the others at its cold start.
    from penstock.flows.list_incoming import Listing
    from penstock.flows.watch_rate import Watched
    from penstock.model.reconciliation import Reconciliation

NAMESPACE = "Penstock"


def publish_backlog(stack: str, listing: Listing) -> None:
    """`BacklogFiles`, `BacklogBytes` and `BacklogOldestSeconds`, for the stack and for each of its datasets.

    For the stack also how the backlog goes (`BacklogGrowingMinutes`, `BacklogStuckMinutes`), `RunsEndedBadly` since the
    last listing, and `SilentDatasets`, which each dataset that says how often it expects files has, too, as 1 or 0.
    The stack publishes zeros: an alarm has to see that its backlog fell. A dataset without files publishes none of its
    own, since CloudWatch bills a metric for each hour in which something of it came (docs/adr/0056).
    """
    backlogs = listing.backlog.values()
    oldest = max((backlog.oldest_age(listing.at) for backlog in backlogs), default=0.0)
    _publish(
        {"Stack": stack},
        {
            **_level(sum(b.files for b in backlogs), sum(b.bytes for b in backlogs), oldest),
            # CloudWatch has no unit for minutes.
            "BacklogGrowingMinutes": (MetricUnit.NoUnit, listing.growing_minutes),
            "BacklogStuckMinutes": (MetricUnit.NoUnit, listing.stuck_minutes),
            "RunsEndedBadly": (MetricUnit.Count, listing.ended_badly),
            "SilentDatasets": (MetricUnit.Count, sum(listing.silent.values())),
            "FilesNotSettled": (MetricUnit.Count, listing.not_settled),
        },
    )
    for dataset, backlog in listing.backlog.items():
        level = _level(backlog.files, backlog.bytes, backlog.oldest_age(listing.at)) if backlog.files else {}
        if dataset in listing.silent:
            level["SilentDatasets"] = (MetricUnit.Count, int(listing.silent[dataset]))
        if level:
            _publish({"Stack": stack, "Dataset": dataset}, level)


def publish_breakers(stack: str, down: Iterable[str]) -> None:
    """`BreakerOpen`, 1 or 0 for each destination: 1 also where it is down for one dataset alone."""
    shut = {name.partition("/")[0] for name in down}
    for destination in DESTINATIONS:
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
        metrics.add_dimension(name="Stack", value=stack)
        metrics.add_dimension(name="Destination", value=destination)
        metrics.add_metric(name="BreakerOpen", unit=MetricUnit.Count, value=int(destination in shut))
        metrics.flush_metrics()


def publish_rates(stack: str, rates: int, watched: Watched) -> None:
    """`RatesWatched`, which is missing when nobody watches, and `RateEpisodes` that go on."""
    _publish(
        {"Stack": stack},
        {"RatesWatched": (MetricUnit.Count, rates), "RateEpisodes": (MetricUnit.Count, watched.episodes)},
    )


def publish_disagreements(stack: str, found: Reconciliation) -> None:
    """`Disagreements`, in files, for the stack and for each dataset: zeros too, so that an alarm sees it mended."""
    per_dataset = {name: checked.disagreements for name, checked in found.checked.items()}
    for dataset, disagreements in {"": found.total, **per_dataset}.items():
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
        metrics.add_dimension(name="Stack", value=stack)
        if dataset:
            metrics.add_dimension(name="Dataset", value=dataset)
        metrics.add_metric(name="Disagreements", unit=MetricUnit.Count, value=disagreements)
        metrics.flush_metrics()


def _level(files: int, size: int, oldest: float) -> dict[str, tuple[MetricUnit, float]]:
    return {
        "BacklogFiles": (MetricUnit.Count, files),
        "BacklogBytes": (MetricUnit.Bytes, size),
        "BacklogOldestSeconds": (MetricUnit.Seconds, oldest),
    }


def _publish(dimensions: dict[str, str], values: dict[str, tuple[MetricUnit, float]]) -> None:
    # No service: Powertools would make it a dimension, and alarms name their dimensions exactly.
    metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
    for name, is_ in dimensions.items():
        metrics.add_dimension(name=name, value=is_)
    for name, (unit, value) in values.items():
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
