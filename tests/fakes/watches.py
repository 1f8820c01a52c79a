from __future__ import annotations

from dataclasses import replace

from penstock.model.episodes import Notice, Watch


class FakeWatches:
    def __init__(self) -> None:
        self.watches: dict[str, Watch] = {}

    def read(self, rate: str) -> Watch:
        return self.watches.get(rate, Watch())

    def write(self, rate: str, watch: Watch) -> bool:
        if self.read(rate).version != watch.version:
            return False
        self.watches[rate] = replace(watch, version=watch.version + 1)
        return True


class FakeNotices:
    def __init__(self) -> None:
        self.told: list[Notice] = []

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)
