"""What a stack costs by the hour or the month, whatever comes: what a bill surprises with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.local.coming import HOURS, MONTH, Files
from penstock.local.cost import Line, Prices
from penstock.local.stack_template import StackTemplate

EMPTY_RECEIVES = 5 * MONTH // 20
"""Of a queue that Lambda reads: five pollers, each of which waits 20 seconds. Not measured on AWS."""
PROXY_LEAST = 8
"""Capacity units that RDS Proxy bills of a serverless cluster at least."""
_OF_THE_STACK = 10
"""Metrics that each listing publishes, whatever is there: eight of the backlog and two breakers."""
_OF_A_BACKLOG = 3
_RECONCILED = {"minute": 60, "hour": 3600, "day": 86400}
_DAILY = 30
GOES_ON_SECONDS = 900
"""Between two calls of a reconcile that goes on."""


def standing(files: Files, stack: StackTemplate, runs: int, prices: Prices) -> Iterator[Line]:
    dollars = prices.dollars

    def line(service: str, what: str, number: float, price: str) -> Line:
        return Line(service, what, number * dollars[price], "standing")

    metrics = custom_metrics(files, stack, runs)
    dashboards, keys = len(stack.of("CloudWatch::Dashboard")), len(stack.of("KMS::Key"))
    yield line("CloudWatch", f"{stack.alarm_metrics} metrics of alarms", stack.alarm_metrics, "alarm_metric_month")
    yield line("CloudWatch", f"{metrics:,.1f} custom metrics", metrics, "custom_metric_month")
    yield line("CloudWatch", f"{dashboards} dashboard", dashboards, "dashboard_month")
    receives = _queues_read(stack) * EMPTY_RECEIVES
    yield line("SQS", f"{receives:,} empty receives of Lambda's pollers", receives, "sqs_request")
    yield line("Secrets Manager", f"{stack.secrets} secrets", stack.secrets, "secret_month")
    yield line("KMS", f"{keys} keys", keys, "kms_key_month")
    if stack.parameters.get("SnapStart") == "published":
        kept = sum(one["MemorySize"] for one in stack.of("Serverless::Function") if "SnapStart" in one) / 1024
        yield line("Lambda", f"{kept:g} GB of snapshots of a release", kept * MONTH, "lambda_snapshot_gb_second")
    ends = stack.interfaces
    yield line("VPC", f"{ends} interface endpoints in a zone, by the hour", ends * HOURS, "interface_hour")
    gateways = len(stack.of("EC2::NatGateway"))
    yield line("VPC", f"{gateways} NAT gateways, by the hour", gateways * HOURS, "nat_hour")
    units = sum(one["ServerlessV2ScalingConfiguration"]["MinCapacity"] for one in stack.of("RDS::DBCluster"))
    yield line("Aurora", f"{units:g} capacity units at least, by the hour", units * HOURS, "aurora_unit_hour")
    proxied = len(stack.of("RDS::DBProxy")) * PROXY_LEAST
    yield line("RDS Proxy", f"{proxied} capacity units at least, by the hour", proxied * HOURS, "proxy_unit_hour")


def custom_metrics(files: Files, stack: StackTemplate, runs: int) -> float:
    """As many months of one. CloudWatch bills a metric by the hours in which something of it came."""
    reconciled = min(1.0, reconciles(stack) / HOURS)
    there = _OF_THE_STACK + files.expected + reconciled * (1 + files.datasets)
    there += _OF_A_BACKLOG * min(1.0, runs / HOURS)  # Of the one dataset whose files come.
    return there + (2 if stack.of("Kinesis::Stream") else 0)  # Of rates.


def reconciles(stack: StackTemplate) -> int:
    """A month, by its schedule; of a cron expression one a day is assumed."""
    told = stack.parameters["ReconcileSchedule"]
    if not told:
        return 0
    if not told.startswith("rate("):
        return _DAILY
    number, unit = told.removeprefix("rate(").removesuffix(")").split()
    return int(MONTH // (int(number) * _RECONCILED[unit.removesuffix("s")]))


def _queues_read(stack: StackTemplate) -> int:
    sources = [one["EventSourceArn"] for one in stack.of("Lambda::EventSourceMapping")]
    return sum(isinstance(one, Mapping) and "Queue" in one["Fn::GetAtt"][0] for one in sources)
