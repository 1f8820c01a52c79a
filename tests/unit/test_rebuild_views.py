from __future__ import annotations

import pytest

from penstock.adapters.rebuild_each import rebuild_each
from penstock.flows.rebuild_views import rebuild_views
from penstock.model.errors import PermanentError, TransientError
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


def _rebuild(name: str, _: float) -> Rebuilt:
    if name == "busy":
        raise TransientError("view busy waits for a lock")
    if name == "bad":
        raise PermanentError("view bad divides by zero")
    return Rebuilt(name, 1, 0.1)


def test_what_may_succeed_later_is_tried_again_and_told_beside_what_does_not() -> None:
    with pytest.raises(TransientError, match=r"2 of 3 views.*bad divides.*busy waits"):
        rebuild_each(["bad", "busy", "good"], _rebuild)


def test_a_view_that_fails_alone_is_told_in_its_own_words() -> None:
    with pytest.raises(PermanentError, match=r"^view bad divides by zero$"):
        rebuild_each(["bad"], _rebuild)


def test_a_view_that_there_is_no_time_for_is_told_and_comes_again() -> None:
    with pytest.raises(TransientError, match=r"2 of 2 views.*view good was not tried.*view better was not tried"):
        rebuild_each(["good", "better"], _rebuild, seconds=0)
