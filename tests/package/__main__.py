"""`make package`: measures what `sam build` makes, writes docs/package.md, and fails beyond the budget."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.package.measure import LAYERS, ROUNDS, Size, Start, functions, imports, size, starts
from tests.sam.build import RUNTIME, sam_build
from tests.sam.world import quiet_world
from tests.template.deployment import REPOSITORY
from tests.template.test_layer import BUDGET, LAMBDA_TAKES, PARQUET

IMPORT_BUDGET = 0.3
"""Seconds of processor time."""
TARGETS = tuple(
    (python, processor)
    for python in ("python3.11", "python3.12", "python3.13")
    for processor in ("x86_64", "arm64")
    if (python, processor) != ("python3.11", "arm64")  # The template refuses it: psycopg has no wheel.
)

_BUDGETS = f"""\
Written by `make package`, which fails beyond the budget: {BUDGET / 1e6:.1f} MB unzipped for a function with its layers
({PARQUET}, which alone brings pyarrow: the {LAMBDA_TAKES / 1e6:.1f} MB that Lambda takes), and
{IMPORT_BUDGET * 1000:.0f} ms of processor time to import its handler.
`make test` holds the sizes to it as well; times are held to nothing there."""
_HOW = f"""\
{RUNTIME} on x86_64. An import is the processor time of `import app` with the layer as it is built, X-Ray's part in
it and nothing written, the least of {ROUNDS}. A first answer is under Lambda's own Runtime Interface Emulator, by the
clock of the machine that measured it: interpreter, imports, clients, connections and what its event asks for, against
the laptop's engines, without X-Ray. Lambda gives a function a share of a processor by its memory, so there it takes
longer, above all with little; what it downloads and unpacks before is not in it."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        builds = {target: Path(folder, *target, "build") for target in TARGETS if _runs(target[0])}
        for (python, processor), build in builds.items():
            print(f"sam build for {python} on {processor}", flush=True)  # noqa: T201 - a command.
            sam_build(build, python, processor)
        mine = builds[RUNTIME, "x86_64"]
        seconds = imports(mine)
        with quiet_world() as world:
            first = starts(mine, world)
        sizes = {target: _sizes(build) for target, build in builds.items()}
    page = _page(sizes, seconds, first)
    (REPOSITORY / "docs" / "package.md").write_text(page)
    print(page)  # noqa: T201 - a command.
    faults = [fault for target, parts in sizes.items() for fault in too_big(target, parts)] + too_slow(seconds)
    for fault in faults:
        print(f"over the budget: {fault}", file=sys.stderr)  # noqa: T201 - a command.
    return 1 if faults else 0


def too_big(target: tuple[str, str], sizes: Mapping[str, Size]) -> list[str]:
    """What of a build is over the budget; `sizes` are its layers' and its functions', by logical id."""
    layers = sum(sizes[layer].unzipped for layer in LAYERS)
    whole = {name: part.unzipped + layers for name, part in sizes.items() if name not in LAYERS}
    return [
        f"{name} is {_bytes(size_)} unzipped with its layers, for {' on '.join(target)}"
        for name, size_ in whole.items()
        if size_ > (LAMBDA_TAKES if name == PARQUET else BUDGET)
    ]


def too_slow(seconds: Mapping[str, float]) -> list[str]:
    return [f"{name} takes {_ms(took)} to import" for name, took in seconds.items() if took > IMPORT_BUDGET]


def _sizes(build: Path) -> dict[str, Size]:
    return {name: size(build / name) for name in (*LAYERS, *functions(build))}


def _runs(python: str) -> bool:
    found = shutil.which(python)
    return found is not None and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0


def _page(
    sizes: Mapping[tuple[str, str], Mapping[str, Size]], seconds: Mapping[str, float], first: Mapping[str, Start]
) -> str:
    mine = sizes[RUNTIME, "x86_64"]
    layers = mine[LAYERS[0]] + mine[LAYERS[1]]
    missing = [" on ".join(target) for target in TARGETS if target not in sizes]
    lines = [
        "# The package",
        "",
        *_BUDGETS.splitlines(),
        "",
        "| layer | zipped | unzipped |",
        "|---|---|---|",
        *(f"| {layer} | {_bytes(mine[layer].zipped)} | {_bytes(mine[layer].unzipped)} |" for layer in LAYERS),
        "",
        "| function | zipped | unzipped | unzipped, with its layers | import | first answer | the same once more |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, took in seconds.items():
        whole = mine[name] + layers
        lines.append(
            f"| {name} | {_bytes(mine[name].zipped)} | {_bytes(mine[name].unzipped)} | {_bytes(whole.unzipped)}"
            f" | {_ms(took)} | {_ms(first[name].cold)} | {_ms(first[name].warm)} |"
        )
    lines += [
        "",
        *_HOW.splitlines(),
        "",
        "## For every Python and processor that the template takes",
        "",
        "Built by `sam build --parameter-overrides PythonRuntime=… Architecture=…`, without a container, on x86_64:",
        "",
        f"| Python | processor | layer, zipped | layer, unzipped | {PARQUET}, with its layers |",
        "|---|---|---|---|---|",
    ]
    for (python, processor), parts in sizes.items():
        layer, whole = parts[LAYERS[0]], parts[PARQUET] + parts[LAYERS[0]] + parts[LAYERS[1]]
        lines.append(
            f"| {python} | {processor} | {_bytes(layer.zipped)} | {_bytes(layer.unzipped)} | {_bytes(whole.unzipped)} |"
        )
    if missing:
        lines += ["", f"Not built, for want of their Python: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
