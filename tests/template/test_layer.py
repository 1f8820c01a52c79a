"""What `sam build` makes for the Python at hand: a layer that is light, and whole beside what Lambda's runtime has."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.sam.runtime import sdk
from tests.template.deployment import REPOSITORY

pytestmark = pytest.mark.xdist_group("sam build")

BUDGET = 60_000_000
"""Bytes of a function with its layers, unzipped. Lambda takes 262,144,000; a cold start pays for each that it reads."""

_UNCHECKED = (0b01).to_bytes(4, "little")
"""The second word of a .pyc, by PEP 552: named by the source's hash, which nobody looks at."""

THE_RUNTIMES_OWN = {"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"}
FOR_GRPC_ALONE = {"opensearch-protobufs"}

LAMBDA_TAKES = 262_144_000
PARQUET = "WorkParquet"
"""The function that brings pyarrow, and no other does (docs/adr/0037)."""
READS_PARQUET = "penstock.model.parquet_types"
"""The module that imports it."""


@pytest.fixture(scope="session")
def layer(built: Path) -> Path:
    return built / "PenstockLayer" / "python"


def brought(layer: Path) -> dict[str, Distribution]:
    return {canonicalize_name(found.metadata["Name"]): found for found in distributions(path=[str(layer)])}


def pins(file: Path) -> dict[str, str]:
    lines = (line for line in file.read_text().splitlines() if line and not line.startswith("#"))
    return {
        canonicalize_name(found.name): str(found.specifier).removeprefix("==")
        for found in map(Requirement, lines)
        if found.marker is None or found.marker.evaluate()
    }


def test_the_layer_holds_penstock_without_the_laptops_part(layer: Path) -> None:
    here = REPOSITORY / "src" / "penstock"
    wanted = {
        path.relative_to(here)
        for path in here.rglob("*")
        if path.is_file() and path.relative_to(here).parts[0] not in {"local", "cli", "cli.py"}
        if "__pycache__" not in path.parts
    }

    held = {
        path.relative_to(layer / "penstock")
        for path in (layer / "penstock").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert held == wanted


def test_every_module_of_the_layer_is_compiled_for_its_python_and_is_not_compared_with_its_source(layer: Path) -> None:
    """Else each cold start compiles it anew: /opt can't be written to, and what a zip unpacks has another time."""
    sources = list(layer.rglob("*.py"))
    flags = {path: Path(cache_from_source(str(path))).read_bytes()[4:8] for path in sources}

    assert sources
    assert {path for path, flag in flags.items() if flag != _UNCHECKED} == set()


def test_the_layer_holds_what_is_pinned_for_it_and_nothing_else(layer: Path) -> None:
    held = {name: found.version for name, found in brought(layer).items()}

    assert held == pins(REPOSITORY / "src" / "requirements.txt")


def test_the_layer_leaves_to_the_runtime_what_the_runtime_has(layer: Path) -> None:
    assert not {"boto3", "botocore", "s3transfer", "grpc", "google"} & {path.name for path in layer.iterdir()}


def test_whatever_a_package_in_the_layer_needs_is_there_or_left_out_on_purpose(layer: Path) -> None:
    packages = brought(layer)
    needed = {
        canonicalize_name(requirement.name): name
        for name, found in packages.items()
        for requirement in map(Requirement, found.requires or [])
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }

    assert needed.keys() - packages.keys() <= THE_RUNTIMES_OWN | FOR_GRPC_ALONE


def test_the_layer_has_the_versions_that_the_tests_run_with() -> None:
    tested = pins(REPOSITORY / "constraints.txt")

    for name, version in pins(REPOSITORY / "src" / "requirements.txt").items():
        assert tested[name] == version, name


def unzipped(built: Path, *names: str) -> int:
    """Bytes of a function and its layers, by their logical ids."""
    return sum(path.stat().st_size for name in names for path in (built / name).rglob("*") if path.is_file())


def test_every_function_with_its_layers_is_within_the_budget(
    built: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    layers = unzipped(built, "PenstockLayer", "DatasetsLayer")
    sizes = {path.parent.name: unzipped(built, path.parent.name) + layers for path in built.glob("*/app.py")}

    record_testsuite_property("layer_bytes", layers)
    assert {name: size for name, size in sizes.items() if size > BUDGET and name != PARQUET} == {}


def test_every_function_starts_with_the_layer_and_the_runtimes_own_sdk_alone(
    built: Path, layer: Path, tmp_path: Path
) -> None:
    """All of penstock is imported too: adapters are otherwise imported where they are first used."""
    script = f"""
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:]
import app, penstock
for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
    if module.name != "{READS_PARQUET}" or "{PARQUET}" in sys.argv[1]:
        importlib.import_module(module.name)
assert ("pyarrow" in sys.modules) == ("{PARQUET}" in sys.argv[1])
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
assert callable(app.handler)
assert penstock.__file__.startswith(sys.argv[2])
"""
    functions = sorted(path.parent for path in built.glob("*/app.py"))
    lambdas_own = sdk(tmp_path)

    assert len(functions) == len(list((REPOSITORY / "functions").glob("*/app.py")))
    for function in functions:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", script, function, layer, lambdas_own],
            check=True,
            capture_output=True,
            env={"AWS_REGION": "eu-west-1", "POWERTOOLS_TRACE_DISABLED": "1"},
        )


def test_the_datasets_land_where_the_functions_look_for_them(built: Path) -> None:
    here = REPOSITORY / "datasets"
    wanted = {path.relative_to(here) for path in here.rglob("*") if path.is_file() and path.name != "Makefile"}
    opt = built / "DatasetsLayer"

    held = {path.relative_to(opt / "datasets") for path in (opt / "datasets").rglob("*") if path.is_file()}

    assert held == wanted
    assert Path("flights.yaml") in held


def test_a_functions_archive_holds_its_handler_and_little_more(built: Path, tmp_path: Path) -> None:
    for folder in (path.parent for path in built.glob("*/app.py") if path.parent.name != PARQUET):
        with zipfile.ZipFile(tmp_path / "function.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in folder.rglob("*"):
                archive.write(path, path.relative_to(folder))

        assert (tmp_path / "function.zip").stat().st_size < 10_000, folder.name


def test_what_reads_parquet_has_room_in_lambda_beside_its_layers(built: Path) -> None:
    size = unzipped(built, PARQUET, "PenstockLayer", "DatasetsLayer")

    assert (built / PARQUET / "pyarrow").is_dir()
    assert size <= LAMBDA_TAKES, f"it is {size / 1e6:.1f} MB unzipped"
