"""Who may import whom: one order of rooms, the place of each outside framework, and no circles, in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "irnas"

# From the ground up: a room may import the rooms before it, and no other.
ROOMS = (
    "core",
    "storage",
    "runtime",
    "metrics",
    "data",
    "nn",
    "models",
    "record",
    "cluster",
    "baseline",
    "cost",
    "training",
    "deploy",
    "search",
    "simulation",
    "report",
    "tracking",
    "publish",
    "workflows",
    "cli",
)

ISLAND = {"runtime": {"core.errors"}}
"""Rooms that must do with less than stands below them: the runtime is installed alone on devices."""

FRAMEWORKS = {
    "ray": {"cluster", "search/ray_executor.py"},
    "optuna": {"search/strategy/optuna_sampler.py", "tracking/optuna_study.py"},
    # The mirror of runs, which can be rebuilt; and the registry, which is somebody's choice and cannot.
    "mlflow": {"tracking"},
    "boto3": {"storage/object_store.py"},
    "botocore": {"storage/object_store.py"},
    "dvc": set(),
    "typer": {"cli"},
    "rich": {"cli"},
    "plotly": {"report"},
    "matplotlib": {"report"},
    "moocore": {"core/front.py"},
    "safetensors": {"training/weights.py"},
    "torch": {"nn", "models", "cost", "training", "workflows/plan.py", "workflows/opened_run.py", "deploy"},
    "pyarrow": {"data", "storage/files.py", "record/ledger.py", "record/result_table.py", "simulation/table.py"},
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}:{node.lineno} imports by a relative name; must be irnas...."
            assert node.module
            yield node.module
            if node.module.split(".")[0] == "irnas":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> Iterator[tuple[str, str]]:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "irnas" and len(parts) > 1 and parts[1] in ROOMS:
            yield parts[1], name


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    mine = room_of(path)
    if mine in ("__init__", "__main__"):
        return
    for room, name in rooms_imported(path):
        assert ROOMS.index(room) <= ROOMS.index(mine), f"{mine} imports {name}"
        if mine in ISLAND and room != mine:
            assert name.removeprefix("irnas.").startswith(tuple(ISLAND[mine])), f"{mine} imports {name}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_outside_framework_stays_in_its_place(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    for name in imports(path):
        places = FRAMEWORKS.get(name.split(".")[0])
        if places is not None:
            assert {str(inside), inside.parts[0]} & places, f"{inside} imports {name}; only {sorted(places)} may"


def test_no_module_lies_loose_at_the_top() -> None:
    assert {p.stem for p in PACKAGE.glob("*.py")} == {"__init__", "__main__"}
    assert {room_of(p) for p in files()} - {"__init__", "__main__"} == set(ROOMS)


def test_no_two_modules_import_each_other() -> None:
    def name_of(path: Path) -> str:
        return ".".join(("irnas", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")

    names, graph = {name_of(path) for path in files()}, dict[str, set[str]]()
    for path in files():
        # Of the package itself only its version and its place are asked; see the test below.
        found = {n for n in imports(path) if n in names and n != PACKAGE.name}
        # Of "from irnas.data import shards" the module counts, and not the package that it lies in.
        graph[name_of(path)] = {n for n in found if not any(other.startswith(f"{n}.") for other in found)} - {
            name_of(path)
        }
    # What imports nothing that is left is on no circle: it goes, until nothing is left or each imports another.
    while free := {name for name, below in graph.items() if not below & graph.keys()}:
        graph = {name: below for name, below in graph.items() if name not in free}
    assert not graph, f"circles among {sorted(graph)}"


def test_nothing_inside_uses_what_users_import() -> None:
    """``irnas.search`` and its kin stand on top of everything; inside, the package is asked its version and place."""
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
                assert {alias.name for alias in node.names} <= {*ROOMS, "__version__"}, f"{path}:{node.lineno}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == PACKAGE.name:
                assert node.attr in {*ROOMS, "__version__", "__file__"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_stays_one_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


def test_the_page_lists_the_rooms_in_this_order() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == ROOMS
