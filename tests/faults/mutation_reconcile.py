"""What keeps reconcile from telling what is not so, each with what takes it out."""

from __future__ import annotations

from tests.faults.mutation_kinds import Mutation, Patch


def _one(what: str, module: str, old: str, new: str, by: str) -> Mutation:
    return Mutation(what, (Patch(module, old, new),), (by,))


RECONCILE = {
    "disagreement-told-at-once": _one(
        "what seems to disagree is told without a second look",
        "penstock.flows.second_look",
        "if not any(one.kind in _DOUBTFUL for one in found):",
        "if True:",
        "tests/unit/test_second_look.py",
    ),
    "page-between-parts": _one(
        "a table's parts have a page between them",
        "penstock.adapters.postgres.row_parts",
        'f"{page}-{page + step}"',
        'f"{page}-{page + step - 1}"',
        "tests/contract/test_counting_rows_contract.py",
    ),
}
