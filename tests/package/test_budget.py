"""What is too big or too slow to import is named, and what may be bigger is not."""

from __future__ import annotations

from tests.package.__main__ import IMPORT_BUDGET, too_big, too_slow
from tests.package.measure import Size
from tests.template.test_layer import BUDGET, LAMBDA_TAKES

TARGET = "python3.13", "arm64"


def sizes(**functions: int) -> dict[str, Size]:
    layers = {"PenstockLayer": Size(BUDGET - 2_000, 1), "DatasetsLayer": Size(1_000, 1)}
    return {**layers, **{name: Size(unzipped, 1) for name, unzipped in functions.items()}}


def test_a_function_may_be_as_big_as_the_budget_with_its_layers_and_no_bigger() -> None:
    told = too_big(TARGET, sizes(Fits=1_000, Big=1_001))

    assert told == ["Big is 60.0 MB unzipped with its layers, for python3.13 on arm64"]


def test_what_reads_parquet_may_be_as_big_as_lambda_takes() -> None:
    room = LAMBDA_TAKES - BUDGET + 1_000

    assert too_big(TARGET, sizes(WorkParquet=room)) == []
    assert len(too_big(TARGET, sizes(WorkParquet=room + 1))) == 1


def test_an_import_over_the_budget_is_named() -> None:
    told = too_slow({"Quick": IMPORT_BUDGET, "Slow": IMPORT_BUDGET + 0.001})

    assert told == ["Slow takes 301 ms to import"]
