"""Takes a protection out of the code while it is imported: `PENSTOCK_MUTATION` names it.

As a pytest plugin (`-p tests.faults.mutating`), or imported before anything of penstock. The sources stay as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from tests.faults.mutation_kinds import Patch
from tests.faults.mutation_list import MUTATIONS


class _Patched(SourceFileLoader):
    def __init__(self, name: str, path: str, patches: Sequence[Patch]) -> None:
        super().__init__(name, path)
        self._patches = patches

    def get_code(self, fullname: str) -> CodeType:
        return compile(patched(self.get_source(fullname) or "", self._patches), self.get_filename(fullname), "exec")


class _Finder(MetaPathFinder):
    def __init__(self, patches: Mapping[str, Sequence[Patch]]) -> None:
        self._patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._patches:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Patched(fullname, spec.origin, self._patches[fullname])
        return spec


def patched(source: str, patches: Sequence[Patch]) -> str:
    """Raises ValueError when the text to take out is not there exactly once: the list has to follow the code."""
    for patch in patches:
        if source.count(patch.old) != 1:
            raise ValueError(f"{patch.module} has {source.count(patch.old)} times: {patch.old!r}")
        source = source.replace(patch.old, patch.new)
    return source


def install(name: str) -> None:
    patches: dict[str, list[Patch]] = {}
    for patch in MUTATIONS[name].patches:
        patches.setdefault(patch.module, []).append(patch)
        if patch.module in sys.modules:
            raise RuntimeError(f"{patch.module} is imported already")
    sys.meta_path.insert(0, _Finder(patches))


if os.environ.get("PENSTOCK_MUTATION"):
    install(os.environ["PENSTOCK_MUTATION"])
