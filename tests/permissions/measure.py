"""Takes permissions out of one local stack, one after the other, and notes the step that fails without each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.permissions.arrivals import write_datasets
from tests.permissions.grants import Grant, Roles
from tests.permissions.not_shown import why
from tests.permissions.scenario import PARAMETERS, Scenario

from penstock.local.stack import LocalStack

SECRET = "secretsmanager:GetSecretValue"


@dataclass(frozen=True, slots=True)
class Shown:
    """`step` failed without the grant, and `refused` says whether as a refused call; no step: none failed."""

    grant: Grant
    step: str = ""
    refused: bool = False
    said: str = ""


class Laboratory:
    """One stack that is kept from permission to permission."""

    def __init__(self, stack: LocalStack) -> None:
        self.roles = Roles(stack)
        self.scenario = Scenario(stack, self.roles)

    def show(self, grant: Grant) -> Shown:
        # Starting anew takes as long as half a day of it: first without, but of a secret, which is read once.
        for anew in (True,) if grant.action == SECRET else (False, True):
            with self.roles.without(grant, anew=anew):
                failed = self.scenario.play()
            if failed is not None:
                return Shown(grant, failed.step, _says_refused(failed.said), failed.said)
        return Shown(grant)

    def show_all(self, grants: list[Grant], tell: Callable[[Shown], None]) -> list[Shown]:
        """Raises AssertionError where the whole of the permissions does not suffice, before or after."""
        self._all_is_well()
        excused = [grant for grant in grants if why(grant)]
        shown = []
        for one in self.together(excused):
            shown.append(one)
            tell(one)
        for grant in (grant for grant in grants if not why(grant)):
            shown.append(self.show(grant))
            tell(shown[-1])
        self._all_is_well()
        return sorted(shown, key=lambda one: one.grant)

    def together(self, grants: list[Grant]) -> Iterator[Shown]:
        """Of those that nothing should miss: where nothing fails without any of them, nothing does without one."""
        if len(grants) < 2:
            yield from map(self.show, grants)
            return
        with self.roles.without(*grants):
            failed = self.scenario.play()
        if failed is None:
            yield from map(Shown, grants)
            return
        half = len(grants) // 2
        yield from self.together(grants[:half])
        yield from self.together(grants[half:])

    def _all_is_well(self) -> None:
        failed = self.scenario.play()
        assert failed is None, f"with every permission: {failed}"


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    with tempfile.TemporaryDirectory() as folder:
        datasets = write_datasets(Path(folder) / "datasets")
        with LocalStack.temporary("permissions", datasets=datasets, parameters=PARAMETERS, wait_scale=0.01) as stack:
            yield Laboratory(stack)


def _says_refused(said: str) -> bool:
    return "AccessDenied" in said or "not authorized" in said
