"""Arguments and places that cannot be right: exit 2, one line, no traceback, nothing left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.datasets import tiny

from irnas.cli import main

SEARCH = ("search", "--executor", "loop", "--trials", "1", "--epochs", "1")

# What is typed after these words, and what must be said; DATA stands for a small data set.
NUMBERS = [
    *((f"--memory {text}", "--memory: got") for text in ("nan", "inf", "-1", "1e400", "0", "9e99", "4X")),
    *((f"--workers {text}", "--workers: got") for text in ("-1", "0", "999999999")),
    *((f"--gpus {text}", "--gpus: got") for text in ("-1", "nan", "inf", "-inf", "1e9")),
    *((f"--patience {text}", "--patience: got") for text in ("-1", "nan", "inf", "0")),
    *((f"--budget {text}", "budget: got") for text in ("nan", "infh", "-2h", "0s", f"{'9' * 400}h", "1e9h")),
    *((f"--worth {text}", "worth: got") for text in ("nan", "0s", f"{'9' * 400}h")),
    *((f"--trials {text}", "trials: got") for text in ("-1", "99999999999999999999")),
    *((f"--epochs {text}", "budget.epochs: got") for text in ("-1", "99999999999")),
    *((f"--batch {text}", "budget.batch: got") for text in ("-1", "99999999999")),
    *((f"--crop {text}", "crop: got") for text in ("-16", "0", "1048576", "4096")),
    *((f"--lr {text}", "recipe.lr: got") for text in ("nan", "inf", "-1", "0")),
    *((f"--ema {text}", "recipe.ema: got") for text in ("nan", "inf", "-1", "2")),
    *((f"--max-ops {text}", "got") for text in ("nan", "inf", "-1", "0", "1e999")),
    *((f"--input {text}", "input: got") for text in ("1x0x9", "1x1x999999999", "axbxc", "1e3x1x1", "9" * 500)),
    *((f"--finalists {text}", "finalists: got") for text in ("-1", "99999999999")),
    *((f"--seeds {text}", "seeds: got") for text in ("0", "-1", "99999999999")),
]
PLACES = [
    ("search --dataset /proc", "/proc"),
    ("search --dataset /dev/null", "/dev/null"),
    ("search --config /dev/null --executor loop", "/dev/null"),
    ("search --config /proc/self/mem --executor loop", "/proc/self/mem"),
    ("search --config pipe.xnor --executor loop", "pipe.xnor"),
    ("search --resume /proc", "/proc"),
    ("search --resume /dev/null", "/dev/null"),
    (f"search --executor loop --run {'x' * 300} --trials 1 --epochs 1 --dataset DATA", "xxx"),
    ("front /proc/1", "/proc/1"),
    ("front /dev/null", "/dev/null"),
    ("export torn.safetensors -o x.xnor", "torn.safetensors"),
    ("export torn.safetensors -o x.onnx --batch 1025", "--batch: got '1025'"),
    ("export empty.safetensors -o x.xnor", "empty.safetensors"),
    ("export pipe.safetensors -o x.xnor", "pipe.safetensors"),
    ("bench pipe.xnor --seconds 0", "pipe.xnor"),
    ("bench --seconds nan", "--seconds: got nan"),
    ("bench --seconds inf", "--seconds: got inf"),
    ("run pipe.xnor image.png -o out", "pipe.xnor"),
    ("run /dev/zero image.png -o out", "/dev/zero"),
    ("data check pipe.xnor", "pipe.xnor"),
    ("data import pipe.xnor -o out", "pipe.xnor"),
    ("data stats /dev/null", "/dev/null"),
    ("data synth -o /proc/x --images 4 --size 64", "/proc"),
    ("data synth -o /dev/null/x --images 4 --size 64", "/dev/null"),
    ("simulate --bench pipe.xnor", "pipe.xnor"),
    ("ui /proc", "/proc"),
    ("report /dev/null", "/dev/null"),
    ("repair /proc", "/proc"),
    ("runs /dev/null", "/dev/null"),
    ("compare /proc /dev/null", "/proc"),
    ("why /dev/null best", "/dev/null"),
    ("test /proc", "/proc"),
    ("device show /dev/null", "/dev/null"),
    ("spaces /proc", "/proc"),
    ("data import /proc -o out", "/proc"),
    ("data tile /proc -o out", "/proc"),
    ("baseline top-hat --dataset DATA --split fit -o pipe.xnor", "pipe.xnor: got 'A device or a pipe"),
    ("cost biisnet default --input 1x99999999x99999999", "--input: got"),
    (f"cost biisnet default --input 1x1x{'9' * 5000}", "--input: got"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that are none."""
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.xnor", "pipe.safetensors", "image.png"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    (tmp_path / "empty.safetensors").touch()
    return tmp_path


def refused(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command ends that leaves nothing behind."""
    before = sorted(Path.cwd().rglob("*"))
    monkeypatch.setattr(sys, "argv", ["irnas", *words])
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    assert sorted(Path.cwd().rglob("*")) == before
    line = said.strip().splitlines()[-1]
    assert line.startswith("irnas: ") and len(line) < 1200
    return line


@pytest.mark.parametrize(("typed", "message"), NUMBERS, ids=[typed[:40] for typed, _ in NUMBERS])
def test_a_number_that_is_none_or_beyond_all_bounds(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, message: str
) -> None:
    words = [*SEARCH, "--dataset", str(tiny().root), *typed.split(" ")]
    assert message in refused(words, monkeypatch, capsys)


@pytest.mark.parametrize(("typed", "message"), PLACES, ids=[typed[:60] for typed, _ in PLACES])
def test_a_place_that_cannot_be_used(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, message: str
) -> None:
    words = [str(tiny().root) if word == "DATA" else word for word in typed.split(" ")]
    assert message in refused(words, monkeypatch, capsys)
