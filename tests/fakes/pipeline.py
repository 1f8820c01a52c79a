from __future__ import annotations

from collections.abc import Mapping


class FakePipeline:
    def __init__(self) -> None:
        self.started: list[tuple[str, str, dict[str, str]]] = []

    def start(self, run: str, dataset: str, parameters: Mapping[str, str]) -> str:
        self.started.append((run, dataset, dict(parameters)))
        return f"fake-{run}-{dataset}"
