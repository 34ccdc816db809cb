"""Who may import whom: the layers, and the one file each outside framework lives in, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "irnas"

# A module may import its own layer and those before it.
LAYERS = {
    "errors": 1, "space": 1, "union": 1, "objective": 1, "settings": 1, "result": 1, "spread": 1, "front": 1,
    "metrics": 1, "runtime": 1,
    "nn": 2, "losses": 2, "models": 2, "cost": 2,
    "storage": 3, "data": 3, "baseline": 3, "train": 3, "weights": 3, "trial": 3,
    "search": 4,
    "catalog": 5, "ledger": 5, "mirror": 5, "turn": 5, "tracking": 5, "registry": 5, "report": 5, "provenance": 5,
    "export": 5, "publication": 5, "remote": 5, "transfer": 5, "wheel": 5, "submission": 5,
    "device": 5, "price": 5, "bench": 5, "plan": 5, "executor": 5, "launch": 5, "tabulate": 5, "cli": 5,
}  # fmt: skip

FRAMEWORKS = {
    "ray": {"search/cluster.py", "search/tuner.py", "submission.py"},
    "optuna": {"search/strategy/sampled.py"},
    # The mirror of runs, which can be rebuilt; and the registry, which is somebody's choice and cannot.
    "mlflow": {"tracking.py", "registry"},
    "boto3": {"remote.py"},
    "dvc": set(),
    "typer": {"cli"},
    "plotly": {"report"},
    "matplotlib": {"report"},
    "moocore": {"front.py"},
    "torch": {
        "nn",
        "models",
        "cost.py",
        "losses.py",
        "train.py",
        "trial.py",
        "weights.py",
        "plan.py",
        "export",
        "bench",
    },
    "pyarrow": {"data", "storage.py", "ledger.py", "search/table.py"},
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "irnas":
                yield from (f"irnas.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_its_layer_and_earlier_ones(path: Path) -> None:
    mine = module_of(path)
    if mine in ("__init__", "__main__"):
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "irnas" and len(parts) > 1 and parts[1] in LAYERS:
            assert LAYERS[parts[1]] <= LAYERS[mine], f"{mine} imports {parts[1]}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_outside_framework_stays_in_its_place(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    for name in imports(path):
        places = FRAMEWORKS.get(name.split(".")[0])
        if places is not None:
            assert {str(inside), inside.parts[0]} & places, f"{inside} imports {name}; only {sorted(places)} may"


def test_every_module_has_a_layer() -> None:
    assert {module_of(p) for p in files()} - {"__init__", "__main__"} <= set(LAYERS)


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_stays_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
