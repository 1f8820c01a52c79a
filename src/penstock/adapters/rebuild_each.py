"""Views are tried one after the other, and what became of them is told together, whichever warehouse they are in."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from penstock.model.errors import PenstockError, PermanentError, TransientError
from penstock.model.views import Rebuilt

SECONDS = 840.0
"""Of all of them: RebuildViews has 900."""


def rebuild_each(
    names: Sequence[str], rebuild: Callable[[str, float], Rebuilt], seconds: float = SECONDS
) -> list[Rebuilt]:
    """`rebuild` is given a name and the seconds that are left. One that fails keeps none behind it from its turn.

    Then the error has the words of each: TransientError, where one of them may succeed later, else PermanentError.
    """
    until = time.monotonic() + seconds
    rebuilt: list[Rebuilt] = []
    failed: list[PenstockError] = []
    for name in names:
        left = until - time.monotonic()
        try:
            if left <= 0:
                raise TransientError(f"view {name} was not tried: those before it took all of {seconds:.0f} s")
            rebuilt.append(rebuild(name, left))
        except PenstockError as error:
            failed.append(error)
    if not failed:
        return rebuilt
    if len(names) == 1:
        raise failed[0]
    words = f"{len(failed)} of {len(names)} views were not rebuilt: {'; '.join(map(str, failed))}"
    if any(isinstance(error, TransientError) for error in failed):
        raise TransientError(words)
    raise PermanentError(words)
