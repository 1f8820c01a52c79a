"""CloudWatch's part: alarms as template.yaml defines them, evaluated on metrics as the lister prints them."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import ge, gt
from typing import Any

from tests.template.deployment import deployed, of_type

from penstock.flows.list_incoming import Listing
from penstock.metrics import NAMESPACE, publish_backlog

STACK = "penstock"
_RINGS = {"GreaterThanOrEqualToThreshold": ge, "GreaterThanThreshold": gt}
_STATISTICS: Mapping[str, Any] = {"Maximum": max, "Minimum": min, "Sum": sum}


@dataclass
class CloudWatch:
    """`metrics[name]` are the values of the stack's own metrics in each minute; `at` is when they were published."""

    metrics: dict[str, dict[datetime, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def publish(self, listing: Listing) -> None:
        printed = io.StringIO()
        with redirect_stdout(printed):
            publish_backlog(STACK, listing)
        for line in printed.getvalue().splitlines():
            published = json.loads(line)
            [directive] = published["_aws"]["CloudWatchMetrics"]
            if directive["Dimensions"] == [["Stack"]]:
                for metric in directive["Metrics"]:
                    minute = listing.at.replace(second=0, microsecond=0)
                    self.metrics[metric["Name"]][minute] += published[metric["Name"]]

    def rang(self, name: str) -> list[tuple[datetime, datetime]]:
        """From when until when the alarm was in alarm: the moments at which CloudWatch could first know."""
        alarm = _alarms()[name]
        assert (alarm["Namespace"], alarm["Dimensions"]) == (NAMESPACE, [{"Name": "Stack", "Value": STACK}])
        assert alarm["TreatMissingData"] in ("ignore", "notBreaching")
        assert alarm["EvaluationPeriods"] == 1, "more would have to be evaluated here"
        return _spans(self._breaching(alarm), timedelta(seconds=alarm["Period"]))

    def _breaching(self, alarm: Mapping[str, Any]) -> Iterable[tuple[datetime, bool]]:
        period = alarm["Period"]
        periods: dict[int, list[float]] = defaultdict(list)
        values = self.metrics[alarm["MetricName"]]
        for minute, published in values.items():
            periods[int(minute.timestamp()) // period].extend(published)
        for number in sorted(periods):
            value = _STATISTICS[alarm["Statistic"]](periods[number])
            begin = datetime.fromtimestamp(number * period, tz=next(iter(values)).tzinfo)
            yield begin, _RINGS[alarm["ComparisonOperator"]](value, float(alarm["Threshold"]))


def _spans(breaching: Iterable[tuple[datetime, bool]], period: timedelta) -> list[tuple[datetime, datetime]]:
    spans: list[tuple[datetime, datetime]] = []
    before = False
    for begin, rings in breaching:
        if rings and before:
            spans[-1] = spans[-1][0], begin + period
        elif rings:
            spans.append((begin + period, begin + period))
        before = rings
    return spans


def _alarms() -> Mapping[str, Mapping[str, Any]]:
    return of_type(deployed("as it comes"), "AWS::CloudWatch::Alarm")
