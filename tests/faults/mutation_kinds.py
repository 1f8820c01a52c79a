"""What a mutation is: a protection, what takes it out, and who has to notice."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY, POSTGRES = "random schedules", "random schedules on PostgreSQL"
NAMED = "tests/faults/schedules/test_named.py"


@dataclass(frozen=True, slots=True)
class Patch:
    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """`by` are tried in turn until one catches it: random schedules, or what pytest is to run."""

    what: str
    patches: tuple[Patch, ...]
    by: tuple[str, ...] = (MEMORY, NAMED)
