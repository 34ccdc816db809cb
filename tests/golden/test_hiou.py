"""hIoU as the package of its authors counts it; ``hiou_cases.py`` says how ``hiou.json`` was made."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from irnas.metrics import Counts, count, summarize

HERE = Path(__file__).parent
GOLDEN: dict[str, float] = json.loads((HERE / "hiou.json").read_text())["hiou"]
_spec = importlib.util.spec_from_file_location("hiou_cases", HERE / "hiou_cases.py")
assert _spec and _spec.loader
cases: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)


def counted(*names: str) -> float:
    return summarize(Counts.concat([count(*cases.case(name)) for name in names]))["hiou"]


@pytest.mark.parametrize("name", cases.CASES)
def test_one_image_counts_as_in_the_package(name: str) -> None:
    assert counted(name) == pytest.approx(GOLDEN[name], rel=1e-15)


def test_a_set_counts_as_in_the_package() -> None:
    assert counted(*cases.CASES) == pytest.approx(GOLDEN["all"], rel=1e-15)


def test_the_cases_are_not_all_alike() -> None:
    values = {round(GOLDEN[name], 6) for name in cases.CASES}
    assert len(values) > 12 and {0.0, 1.0} < values


def test_the_package_itself_agrees_where_it_is_installed() -> None:
    package = pytest.importorskip("py_irstd_metrics.targetwise_metrics", reason="pyirstdmetrics asks for numpy<2")
    for name in cases.CASES:
        metrics = package.MatchingBasedMetrics()
        metrics.update(*cases.case(name))
        assert counted(name) == pytest.approx(float(metrics.get()["hiou"][0]), rel=1e-15)
