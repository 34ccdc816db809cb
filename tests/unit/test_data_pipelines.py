"""dvc.yaml names the code that decides each output, and its commands are ones that the stage scripts understand."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import layouts

from irnas.data import open_dataset

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def _run(stage: str, key: str, item: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's command, filled in as DVC does, in the working folder."""
    names = {"key": key, **{f"item.{k}": v for k, v in item.items()}}
    words = shlex.split(re.sub(r"\$\{([\w.]+)\}", lambda m: str(names[m[1]]), STAGES[stage]["do"]["cmd"]))
    assert words[:2] == ["python", "-m"]
    monkeypatch.setattr(sys, "argv", words[2:])
    monkeypatch.syspath_prepend(ROOT)
    runpy.run_module(words[2], run_name="__main__")


WITHOUT_INFLUENCE = {
    "irnas/core/errors.py": "words of what ends a stage",
    "irnas/data/staging.py": "when a folder appears, not what is in it",
    "irnas/storage/__init__.py": "names only",
    "irnas/storage/atomic.py": "when a file appears, not what is in it",
    "irnas/storage/files.py": "where a run is kept",
    "irnas/storage/lock.py": "who may write",
    "irnas/storage/retry.py": "how long to wait",
}
"""Modules that a stage imports and that decide no byte of its output. Everything else it imports is a dependency."""


def _file_of(module: str) -> str | None:
    """The file of a module of this repository, relative to its root; None for modules from elsewhere."""
    path = Path(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((str(p) for p in candidates if (ROOT / p).is_file()), None)


def _imports(node: ast.AST) -> Iterator[str]:
    """Files that a piece of code imports, at its top or in a function, unless for the sake of types only."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        # "from irnas.data import shards" means that module; "from irnas.data import open_dataset", the package.
        inner = [f"{node.module}.{alias.name}" for alias in node.names]
        modules = [name if _file_of(name) else str(node.module) for name in inner]
    else:
        modules = []
    yield from (path for module in modules if (path := _file_of(module)))
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)


def _reached(script: str) -> set[str]:
    """The script and all files of this repository that it imports, directly or by way of others."""
    reached, waiting = set[str](), [script]
    while waiting:
        path = waiting.pop()
        if path not in reached and path not in WITHOUT_INFLUENCE:
            reached.add(path)
            waiting += _imports(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    return reached


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_code_that_decides_it(stage: str) -> None:
    what = STAGES[stage]["do"]
    (script,) = re.findall(r"python -m (pipelines\.\w+)", what["cmd"])
    declared = {path for path in what["deps"] if path.endswith(".py")}
    reached = _reached(str(_file_of(script)))
    lines = [f"        - {path}" for path in sorted(reached, key=lambda path: (path.startswith("irnas"), path))]
    advice = f"dvc.yaml, stage {stage}: its code is now\n" + "\n".join(lines)
    assert declared == reached, (
        f"{advice}\n(missing: {sorted(reached - declared)}, too many: {sorted(declared - reached)})"
    )


def test_what_decides_nothing_exists() -> None:
    assert [path for path in WITHOUT_INFLUENCE if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("key", PARAMS["synthetic"])
def test_synthetic_sets_are_made(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    item = PARAMS["synthetic"][key]
    small = {**item, "images": min(item["images"], 6), "sequences": min(item["sequences"], 3), "size": 32}
    _run("synthesize", key, small, monkeypatch)
    assert open_dataset(key).manifest.parameters["seed"] == item["seed"]


def test_published_sets_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layouts.nudt(tmp_path / "raw")
    item = {"source": "raw", "format": "generic", "val_fraction": 0.4, "val_seed": 1}
    _run("import", "nudt", item, monkeypatch)
    assert len(open_dataset("nudt").manifest.splits["val"]) == 2
