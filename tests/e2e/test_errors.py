"""What a user gets wrong: one line, exit 2, nothing written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.command import run
from support.datasets import tiny

from irnas.cli import main
from irnas.core import catalog


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--space", "biisnett"], "space: got 'biisnett'; one of adsnet, biisnet"),
        (["--objective", "miou,speed"], "objective: got 'speed'; one of miou"),
        (["--dataset", "nowhere"], "nowhere"),
        (["--axis", "base=5"], "biisnet.base: got '5'; one of 4, 6, 8"),
        (["--axis", "wings=2"], "space biisnet: got parameter 'wings'"),
        (["--axis", "base"], "point: got 'base'; must be axis=value"),
        (["--trials", "0"], "trials: got 0; must be at least 1"),
        (["--epochs", "0"], "budget.epochs: got 0; must be at least 1"),
        (["--crop", "40"], "budget.crop: got 40; must be a multiple of 16"),
        (["--strategy", "magic"], "strategy: got 'magic'; one of tpe"),
        (["--loss", "hinge"], "recipe.loss: got 'hinge'; must be one of softiou"),
        (["--lr", "3"], "recipe.lr: got 3.0"),
        (["--max-ops", "many"], "--max-ops: got 'many'; must be a number such as"),
        (["--max-ops", "1"], "limits: got ops 1; must admit some network: the least of 400 drawn is ops"),
        (["--input", "512"], "--input: got '512'; must be channels x height x width"),
        (["--preset", "mine"], "preset: got 'mine'; one of basicirstd"),
        (["--warm-start", "yes"], "warm-start: got 'yes'; must be none, published, published/all, or names of"),
        (["--executor", "slurm"], "executor: got 'slurm'"),
        (["--device", "node:pi4"], "device: got node:pi4 with the objectives miou, ops; must come with"),
        (["--device", "node:pi4", "--objective", "miou,fps"], "device: got node:pi4, which no node of the cluster has"),
        (
            ["--device", "node:pi4", "--objective", "miou,fps", "--executor", "loop"],
            "device: got node:pi4; must be a profile's file, unless a search runs on Ray",
        ),
        (["--memory", "0"], "--memory: got '0'; must be above 0"),
        (["--resume", "nothing"], "run: got 'nothing'; must be the folder or URI of an irnas run"),
        (["--resume", "nothing", "--epochs", "3"], "resume: got --epochs too; must keep the settings of the run"),
        (["--run", "gopher://x/y"], "run: got 'gopher://x/y/ledger'"),
    ],
)
def test_one_line_exit_2_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    if "--dataset" not in words and "--resume" not in words:
        words = ["--dataset", str(tiny().root), *words]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["irnas", "search", *words])
    assert main() == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1] and said[-1].startswith("irnas: ")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_the_exit_status_of_the_process_is_2(tmp_path: Path) -> None:
    assert run(tmp_path, "search", "--space", "biisnett", code=2) == (
        f"irnas: space: got 'biisnett'; one of {', '.join(catalog.list_names())}, or a folder with a space.yaml; "
        "did you mean biisnet\n"
    )
