"""What is known of each rate, and who is told of its episodes."""

from __future__ import annotations

from typing import Protocol

from penstock.model.episodes import Notice, Watch


class Watches(Protocol):
    def read(self, rate: str) -> Watch:
        """As `write` left it, read consistently; a new `Watch` for a rate that was never judged."""
        ...

    def write(self, rate: str, watch: Watch) -> bool:
        """As the version after `watch.version`. False, and nothing is written, when that one is not the last."""
        ...


class Notices(Protocol):
    def tell(self, notice: Notice) -> None: ...
