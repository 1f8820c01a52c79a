from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.faults.mutating import patched
from tests.faults.mutation_list import MUTATIONS


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_takes_out_what_is_there_and_leaves_python(name: str) -> None:
    for module in {patch.module for patch in MUTATIONS[name].patches}:
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        here = [patch for patch in MUTATIONS[name].patches if patch.module == module]
        ast.parse(patched(Path(spec.origin).read_text(), here))
