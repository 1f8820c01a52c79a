"""The choices that make a schedule: drawn from a seed, or replayed from a list, and shrunk to the fewest that matter.

0 is always the harmless choice: no fault, no switch to another task. So a list with fewer and smaller numbers is a
simpler schedule, and what lies beyond its end is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


class Choices:
    def __init__(self, seed: int | None = None, replay: Sequence[int] = ()) -> None:
        self._random = Random(seed) if seed is not None else None  # noqa: S311 - schedules, not secrets
        self._replay = replay
        self.made: list[int] = []

    def draw(self, options: int, harmless: float = 0.0) -> int:
        """A number below `options`: 0 with the probability `harmless`, else any of them alike."""
        if options < 2:
            return 0
        if self._random is None:
            place = len(self.made)
            value = min(self._replay[place], options - 1) if place < len(self._replay) else 0
        elif harmless and self._random.random() < harmless:
            value = 0
        else:
            value = int(self._random.random() * options)
        self.made.append(value)
        return value


def shrunk(choices: Sequence[int], fails: Callable[[Sequence[int]], bool], tries: int = 600) -> list[int]:
    """A simpler list that `fails` too: blocks taken out, blocks made harmless, numbers made smaller."""
    best = _without_tail(list(choices))
    left = tries

    def better(candidate: list[int]) -> bool:
        nonlocal best, left
        candidate = _without_tail(candidate)
        if left <= 0 or (len(candidate), candidate) >= (len(best), best):
            return False
        left -= 1
        if fails(candidate):
            best = candidate
            return True
        return False

    before: list[int] | None = None
    while before != best and left > 0:
        before = best
        size = max(1, len(best) // 2)
        while size:
            at = 0
            while at < len(best):
                if not better(best[:at] + best[at + size :]) and not better(
                    [*best[:at], *[0] * min(size, len(best) - at), *best[at + size :]]
                ):
                    at += size
            size //= 2
        for at in range(len(best)):
            if at < len(best) and best[at] > 1:
                better([*best[:at], 1, *best[at + 1 :]])
    return best


def _without_tail(choices: list[int]) -> list[int]:
    while choices and choices[-1] == 0:
        choices = choices[:-1]
    return choices
