"""`irnas doctor` says what an installation has and lacks, and a shell completes what irnas knows."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from support.runs import space_folder, write_run
from typer.testing import CliRunner

from irnas import runtime
from irnas.cli import completion, doctor
from irnas.core.errors import ExportError, TrainingError
from irnas.record.run import Run
from irnas.workflows import doctor as workflow

app = typer.Typer()
app.command("doctor")(doctor.doctor)
app.command("other")(lambda: None)


def call(*words: str) -> str:
    return CliRunner().invoke(app, ["doctor", *words], catch_exceptions=False, standalone_mode=False).output


def test_one_screen_says_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "manifest.json").write_text("{}")
    text = call()
    assert len(text.splitlines()) <= 24
    for word in ("irnas", "cores", "GiB free", "kernels", "torch ", "data/: mine", "none in runs/"):
        assert word in text, word
    findings = {finding["subject"]: finding for finding in json.loads(call("--json"))}
    assert findings["extra search"]["remedy"] == "" and findings["extra search"]["text"].startswith("torch 2")


def test_what_is_missing_comes_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else find_spec(name))

    def absent() -> list[str]:
        raise ExportError("XNOR engine: got no library")

    monkeypatch.setattr(runtime, "kernels", absent)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "cmake" else tool)
    monkeypatch.setattr("irnas.nn.fused.is_built", lambda: False)
    remedies = {finding.subject: finding.remedy for finding in workflow.examine()}
    assert remedies["extra export"] == "no onnx: pip install 'irnas[export]'"
    assert remedies["engine"] == "install cmake, then cmake -S . -B build && cmake --build build"
    assert remedies["training"] == "cmake -S . -B build && cmake --build build"


def test_memory_disk_and_gpus_are_told_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 2**30
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=gib // 2))
    for name, value in {"count_gpus": 2, "gpu_name": "H200", "gpu_bytes": 80 * gib}.items():
        monkeypatch.setattr(f"irnas.training.gpus.{name}", lambda value=value: value)
    found = {finding.subject: finding for finding in workflow.examine()}
    assert found["GPUs"].text == "2 x H200, 80 GiB"
    assert found["disk"].text.startswith("0.5 GiB free in ") and found["disk"].remedy.startswith("less than 1 GiB")
    total, free = (float(number) for number in re.findall(r"([\d.]+) GiB", found["memory"].text))
    assert 0 < free < total
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2 * gib))
    monkeypatch.setattr("irnas.training.gpus.count_gpus", lambda: 0)
    found = {finding.subject: finding for finding in workflow.examine()}
    assert found["GPUs"].text.startswith("none that torch can train on") and not found["disk"].remedy


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_an_installation_tests_itself() -> None:
    assert [(f.subject, f.remedy) for f in workflow.test_itself()] == [("makes", ""), ("trains", ""), ("exports", "")]


def test_a_broken_installation_says_which_step_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "examine", lambda: [])
    monkeypatch.setattr(workflow, "_steps", lambda _: [("makes", lambda: "data"), ("trains", lambda: str(1 // 0))])
    with pytest.raises(TrainingError, match=r"^doctor: got an installation that trains nothing; must do all three$"):
        call("--self-test")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=2)
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "mine" / "manifest.json").write_text("{}")
    return tmp_path


def test_a_shell_is_offered_what_there_is(runs: Path) -> None:
    assert completion.complete_spaces("bii") == ["biisnet"]
    assert completion.complete_spaces("biisnet,rp") == ["biisnet,rpcanet_plus"]
    assert completion.complete_objectives("miou,mi") == [] and "miou,ops" in completion.complete_objectives("miou,o")
    assert completion.complete_strategies("freeze") == ["freeze-thaw"]
    assert completion.complete_datasets("") == ["synthetic", "data/mine"]
    assert completion.complete_runs("runs/") == ["runs/one"]
    assert {"biisnet", "runs/one"} <= set(completion.complete_sources(""))
    key = next(iter(Run.read("runs/one").trials.values())).key
    assert completion.complete_keys(["irnas", "why", "runs/one"], key[:4]) == [key]
    assert completion.complete_keys(["irnas", "why", "nowhere"], "") == ["best", "knee"]


def test_the_shell_s_own_way_reaches_it(runs: Path) -> None:
    words = {"_IRNAS_COMPLETE": "complete_bash", "COMP_WORDS": "irnas search --strategy freeze", "COMP_CWORD": "3"}
    code = "from irnas.cli.app import app; app(prog_name='irnas')"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True)
    assert done.stdout.split() == ["freeze-thaw"], done.stderr
