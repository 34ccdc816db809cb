"""A run that version 0.1 recorded, with its weights, still does all that a run of today does.

``run-0.1`` is a search of version 0.1 over six-epoch trainings (moasha, two finalists), ended and resumed once, on
twenty synthetic images that lie beside it; the only change is the path of its data. ``front.json`` is what version 0.1
itself said of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from irnas.record.events import Continued, Finished, Resumed
from irnas.record.run import Run

GOLDEN = Path(__file__).parent / "run-0.1"
BEFORE = json.loads((GOLDEN / "front.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that holds ``run`` and ``data/tiny``."""
    shutil.copytree(GOLDEN / "run", tmp_path / "run")
    shutil.copytree(GOLDEN / "tiny", tmp_path / "data" / "tiny")
    return tmp_path


def irnas(folder: Path, *words: str) -> str:
    root = str(Path(__file__).parents[2])
    paths = [root, *(p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)]
    done = subprocess.run(
        [sys.executable, "-m", "irnas", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_folded_to_what_version_0_1_said_of_it(folder: Path) -> None:
    run = Run.read(str(folder / "run"))
    assert run.hypervolume() == BEFORE["hypervolume"]
    assert {r.key: dict(r.values) for r in run.front.results} == BEFORE["front"]
    assert {r.key: str(r.status) for r in run.results} == BEFORE["status"]
    kinds = [type(event) for event in run.events]
    assert (kinds.count(Resumed), kinds.count(Continued), kinds.count(Finished)) == (1, 6, 13)
    assert run.settings.grace_period == 1 and run.settings.trials == 4 and run.settings.strategy == "moasha"
    assert run.tally.epochs == 27 and len(run.replicates) == 2 and not run.paused


def test_its_front_and_its_story_are_told(folder: Path) -> None:
    row = json.loads(irnas(folder, "front", "run", "--json"))["front"][0]
    assert row["values"] == BEFORE["front"][row["key"]]
    paused = next(k for k, status in BEFORE["status"].items() if status == "stopped")
    assert "paused after epoch 1" in irnas(folder, "why", "run", paused)
    assert "on the front" in irnas(folder, "why", "run", "best")


def test_its_network_is_exported_and_its_page_written(folder: Path) -> None:
    irnas(folder, "export", "run", "best", "-o", "best.onnx")
    assert (folder / "best.onnx").stat().st_size > 10_000
    irnas(folder, "report", "run")
    assert (folder / "run" / "report.html").stat().st_size > 1_000_000


def test_it_goes_on(folder: Path) -> None:
    before = Run.read(str(folder / "run"))
    irnas(folder, "search", "--resume", "run", "--trials", "5", "--executor", "loop")
    after = Run.read(str(folder / "run"))
    assert after.run_id == before.run_id and after.outcomes[: len(before.outcomes)] == before.outcomes
    assert after.tally.epochs == 30 and after.end_reason == "30 epochs are spent"
