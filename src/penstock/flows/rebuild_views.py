"""Rebuilds what is made of a dataset, after a run has loaded something of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from penstock.model.errors import PermanentError
from penstock.model.views import Rebuilt


class Views(Protocol):
    """The warehouse's views, to whoever may rebuild them."""

    def rebuild(self, dataset: str, run: str) -> Sequence[Rebuilt]:
        """Those that are made of `dataset`, as they are after it, each rebuilt since the call began.

        Each is tried: one that fails stays as it was, keeps no other from being rebuilt, and is in the error's text.
        """
        ...


def rebuild_views(views: Views | None, dataset: str, run: str) -> dict[str, Any]:
    """`{"views": [{"view", "rows", "seconds"}]}`; none is no error. Repeating it rebuilds once more."""
    if views is None:
        raise PermanentError(
            f"the stack has no warehouse, so dataset {dataset} has no views to rebuild after run {run}. Take "
            "rebuild_views out of its kick_off, or deploy with a Warehouse"
        )
    return {"views": [asdict(view) for view in views.rebuild(dataset, run)]}
