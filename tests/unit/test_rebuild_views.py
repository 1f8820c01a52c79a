from __future__ import annotations

import pytest

from penstock.flows.rebuild_views import rebuild_views
from penstock.model.errors import PermanentError
from penstock.model.views import Rebuilt


class _Views:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def rebuild(self, dataset: str, run: str) -> list[Rebuilt]:
        self.asked.append((dataset, run))
        return [Rebuilt("public.late", 3, 0.5)]


def test_the_views_of_the_dataset_are_rebuilt_for_the_run_and_named() -> None:
    views = _Views()

    answer = rebuild_views(views, "flights", "run-1")

    assert views.asked == [("flights", "run-1")]
    assert answer == {"views": [{"view": "public.late", "rows": 3, "seconds": 0.5}]}


def test_a_stack_without_a_warehouse_says_what_to_change() -> None:
    with pytest.raises(PermanentError, match=r"no warehouse.*kick_off"):
        rebuild_views(None, "flights", "run-1")
