"""What the code imports is declared in pyproject.toml, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from irnas.core.extras import EXTRA_OF

ROOT = Path(__file__).parent.parent

NOT_IMPORTED = {
    "dvc": "the command line needs it installed",
    "dvc-s3": "DVC finds it by itself",
    "aiobotocore": "bounds what dvc-s3 brings along",
}
PACKAGE_OF = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "ai_edge_litert": "ai-edge-litert",
    "botocore": "boto3",
    "sqlalchemy": "optuna",
}
"""The package of a module where it has another name, or where the declared package cannot be without it."""


def imported() -> Iterator[str]:
    """The top-level modules that irnas and its pipelines import, by statement or by name."""
    for path in (*ROOT.glob("irnas/**/*.py"), *ROOT.glob("pipelines/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    yield from (alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str() as module, level=0):
                    yield module.partition(".")[0]
                case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str() as module), *_]):
                    yield module.partition(".")[0]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", text)[0].lower() for text in requirements}


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_imports_and_declarations_are_the_same() -> None:
    extras = project()["optional-dependencies"]
    run_time = names(project()["dependencies"] + extras["search"])
    optional = names(extras["export"] + extras["bench"]) - {"irnas"}
    used = {PACKAGE_OF.get(module, module) for module in imported()} - set(sys.stdlib_module_names) - {"irnas"}
    assert used - run_time - optional == set(), "imported, and not declared"
    assert run_time - used == set(NOT_IMPORTED), "declared, and not imported"
    assert optional - used == set(), "declared for an extra, and not imported"


def test_a_module_that_is_missing_names_the_extra_that_brings_it() -> None:
    for extra in ("search", "export", "bench"):
        modules = {module for module, brought_by in EXTRA_OF.items() if brought_by == extra}
        packages = {PACKAGE_OF.get(module, module.replace("_", "-")) for module in modules}
        assert packages == names(project()["optional-dependencies"][extra]) - {"irnas"}


def test_the_base_installation_is_what_a_board_needs() -> None:
    """Each package more is megabytes on a board that runs a file of 50 KB."""
    assert names(project()["dependencies"]) == {"numpy", "pillow", "pyyaml", "typer", "rich"}
    assert "torch==2.13.0" in project()["optional-dependencies"]["search"]
