"""dvc.yaml names files that exist, and its commands are ones that the stage scripts understand."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
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


def test_dependencies_exist() -> None:
    for stage in STAGES.values():
        for path in stage["do"]["deps"]:
            assert "${" in path or (ROOT / path).is_file(), path


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
