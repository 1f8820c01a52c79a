"""What the tests ran against: said in one block after them, so that nobody takes a stand-in for the real thing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """One that the tests which `used_by` finds by their ids ran on."""

    name: str
    real: bool
    used_by: str
    """A pattern of test ids, as `tests/contract/….py::test_…[postgres-…]`."""

    def passed(self, tests: Iterable[str]) -> int:
        return sum(1 for test in tests if re.search(self.used_by, test))


ENGINES = (
    Engine(
        "PostgreSQL 18, the wheel's", True, r"\[postgres[-\]]|tests/(integration|property|faults|corpus)/|test_live"
    ),
    Engine("PostgreSQL 15, Debian's, by TLS", True, r"\[postgres_15|test_postgres_tls"),
    Engine("OpenSearch, a node", True, r"\[opensearch[-\]]"),
    Engine("Elasticsearch, a node", True, r"\[elasticsearch[-\]]"),
    Engine("Step Functions Local, AWS's image", True, r"\[Step Functions Local[-\]]"),
    Engine("Lambda's Runtime Interface Emulator and awslambdaric", True, r"test_emulator|test_error_names|\[emulator"),
    Engine("SAM CLI: build", True, r"test_layer|test_emulator|test_live"),
    Engine("SAM CLI: deploy and delete", True, r"test_sam_deploy"),
    Engine("SAM CLI: local invoke and start-lambda, in containers", True, r"test_sam_local|\[sam local"),
    Engine(
        "AWS (S3, SQS, DynamoDB, Lambda, Step Functions, CloudFormation, IAM): MiniStack",
        False,
        r"tests/(integration|faults|corpus|sam\w*)/|\[(s3|dynamodb|stepfunctions|state machine|embedded engine)[-\]]",
    ),
    Engine("Step Functions, a second reading: moto's interpreter", False, r"test_second_engine|test_live"),
    Engine("OpenSearch: SQLite behind its calls", False, r"\[embedded[-\]]|tests/integration/"),
    Engine("Redshift: its COPY on PostgreSQL", False, r"\[redshift[-\]]|test_redshift_loads"),
    Engine("Data Pipeline: moto", False, r"test_pipeline_contract|test_demo"),
)


def told(passed: Sequence[str], skipped: Sequence[str]) -> list[str]:
    """Lines for a person, from the ids of the tests that passed and the reason of each that was skipped."""
    lines = []
    for heading, real in (("real", True), ("stood in", False)):
        used = [(engine.name, count) for engine in ENGINES if engine.real is real and (count := engine.passed(passed))]
        lines += [f"{heading:<9} {name}: {count} passed" for name, count in used]
    lines += [f"{'not run':<9} {engine.name}" for engine in ENGINES if engine.real and not engine.passed(passed)]
    reasons = Counter(reason.removeprefix("Skipped: ") for reason in skipped)
    return lines + [f"{'skipped':<9} {reason}: {count}" for reason, count in sorted(reasons.items())]
