"""Where the two interpreters disagree about a case, and which is right: docs/testing.md has these as its table."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

SPECIFICATION = "https://states-language.net/spec.html"
ERRORS = "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"
ECS = "https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html"


@dataclass(frozen=True)
class Difference:
    about: str
    cases: tuple[str, ...]
    """`machine case`, as MockConfigFile.json has them."""
    ministack: str
    moto: str
    right: str
    pattern: str
    """What of a line it is; taken out of both engines' lines, they have to agree."""

    def taken_out(self, line: str) -> str:
        return re.sub(self.pattern, "", line)

    def row(self) -> str:
        return _row(self.about, ", ".join(self.cases), self.ministack, self.moto, self.right)


@dataclass(frozen=True)
class Unlike:
    """What moto gets another definition for: with the file's own it refuses, or goes astray from there on."""

    about: str
    cases: str
    ministack: str
    moto: str
    right: str

    def row(self) -> str:
        return _row(self.about, self.cases, self.ministack, self.moto, self.right)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


DIFFERENCES = (
    Difference(
        "a list of items that isn't there",
        ("Backfill ItemsAreGone",),
        "`States.ItemReaderFailed`",
        "`States.Runtime`, and `States.ALL` catches it",
        f"MiniStack: [Appendix A]({SPECIFICATION}#appendix-a) has the name for it, and AWS's `States.ALL` "
        f"[doesn't catch `States.Runtime`]({ERRORS})",
        r'"Error": "States\.(ItemReaderFailed|Runtime)"',
    ),
    Difference(
        "what is said of it",
        ("Backfill ItemsAreGone",),
        "S3's sentence, the bucket and the key",
        "S3's sentence, as botocore says it",
        "open: a Cause is for people, and nothing here reads it",
        r"[^\"]*The specified key does not exist[^\"]*",
    ),
    Difference(
        "what a task on Fargate is started with",
        ("Ingest Huge", "Ingest HugeTaskFails", "Ingest ParquetIsHuge"),
        "`Parameters`",
        '`Parameters` and `StartedBy: "AWS Step Functions"`',
        f"open: the language leaves it to the resource, and [AWS's page]({ECS}) doesn't say. Nothing here reads it",
        r'"StartedBy": "AWS Step Functions", ',
    ),
)

RESULT_WRITER = Unlike(
    "`ResultWriter`, which writes below `$.plan`",
    "Backfill, every one with batches",
    "isn't looked at",
    "`$.plan` is looked for in the Map's results, and the Map fails. So moto gets no `ResultWriter`",
    f"MiniStack's path: `Parameters` is a Payload Template, [whose input is the state's]({SPECIFICATION}#using-paths), "
    "and only `ResultSelector`'s is the result",
)
WHOLE_PERCENTAGE = Unlike(
    "`ToleratedFailurePercentage: 5`",
    "Backfill, all",
    "taken",
    "refused when the machine is made: it wants `5.0`, and gets that",
    f"MiniStack: [a number between zero and 100]({SPECIFICATION}#map-state)",
)
UNLIKE = (RESULT_WRITER, WHOLE_PERCENTAGE)


def for_moto(machine: dict[str, Any]) -> dict[str, Any]:
    """The backfill's definition as moto takes it: see UNLIKE."""
    changed = copy.deepcopy(machine)
    changed["States"]["Work the part"]["ToleratedFailurePercentage"] = 5.0
    del changed["States"]["Work the part"]["ResultWriter"]
    return changed
