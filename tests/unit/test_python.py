"""irnas in Python: the same searches, trainings, tests and refusals as of the command line, and their results."""

from __future__ import annotations

import contextlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.datasets import tiny

import irnas
from irnas.cli.options import parse_search
from irnas.core.errors import IrnasError, SettingsError, TrainingError
from irnas.core.result import Status
from irnas.record.run import Run as Record
from irnas.search import session
from irnas.workflows import execution
from irnas.workflows.search_plan import read_settings

SMALL: dict[str, Any] = {
    "epochs": 1,
    "batch": 4,
    "crop": 32,
    "input": [1, 64, 64],
    "executor": "loop",
    "progress": False,
}


@pytest.fixture(scope="module", autouse=True)
def _without_mirror_and_page() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
        patch.setattr(execution, "write_report", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> irnas.Run:
    folder = tmp_path_factory.mktemp("python") / "run"
    axes = {"base": [4, 6], "stages": 2}
    return irnas.search("biisnet", dataset=tiny().root, trials=2, run=folder, axes=axes, limits={"ops": "1G"}, **SMALL)


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, irnas; print(' '.join({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "ray", "mlflow", "optuna", "boto3", "pyarrow", "numpy", "scipy", "pandas", "plotly", "yaml"}
    assert not heavy & set(done.stdout.split())


def test_search_is_a_function_and_a_package() -> None:
    assert session.__name__ == "irnas.search.session"
    assert list(inspect.signature(irnas.search).parameters)[:3] == ["space", "objectives", "dataset"]
    assert (irnas.search.__doc__ or "").startswith("Train networks of a space")


def test_a_search_gives_its_run_with_the_settings_that_were_said(run: irnas.Run) -> None:
    assert run.settings == read_settings(f"{run.uri}/search.yaml")
    assert run.settings.limits == {"ops": 1e9} and run.settings.axes == {"base": (4, 6), "stages": (2,)}
    assert repr(run).startswith(f"<irnas.Run {run.uri}: biisnet for miou, ops, 2 trained")
    assert run.space["base"].values == (4, 6) and isinstance(run.space, irnas.Space)


def test_results_are_a_list_and_a_table(run: irnas.Run) -> None:
    assert [result.trial for result in run.trials] == [0, 1]
    assert {result.key for result in run.front} <= {result.key for result in run.trials}
    assert all(result.status is Status.OK for result in run.front) and 0 <= run.hypervolume < 1
    table, frame = run.trials.to_arrow(), run.trials.to_pandas()
    assert table.column("ops").to_pylist() == [result.values["ops"] for result in run.trials]
    assert list(frame["key"]) == [result.key for result in run.trials]
    assert set(frame["axis.base"]) <= {"4", "6"} and len(run.front.to_pandas()) == len(run.front)
    assert run.front[0].key in run.front._repr_html_()


def test_a_network_comes_with_its_trained_weights(run: irnas.Run) -> None:
    network, x = run.load(), torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    best = max(run.front, key=lambda result: result.values["miou"])
    same = irnas.load(f"{run.uri}/weights/{best.key}.safetensors")
    assert not network.training and torch.equal(network(x), same(x)) and network(x).shape == (1, 1, 32, 32)
    (other,) = (result for result in run.trials if result.key != best.key)
    assert not torch.equal(run.load(other.trial)(x), network(x)), "a trial's number names it too"
    assert 0 < run.threshold(best.key[:6]) < 1
    with pytest.raises(SettingsError, match=r"^key 'wrong' of"):
        run.load("wrong")


def test_the_plot_shows_trials_and_front(run: irnas.Run) -> None:
    figure = run.plot()
    assert "OPs" in figure.layout.xaxis.title.text and sum(len(trace.x) for trace in figure.data if trace.x) >= 2
    assert "arameters" in run.plot(x="params").layout.xaxis.title.text
    with pytest.raises(SettingsError, match=r"^objective: got 'prams'; one of .*; did you mean params$"):
        run.plot(x="prams")


def test_what_happened_can_be_asked(run: irnas.Run) -> None:
    assert any("on the front" in line or "dominated" in line for line in run.why("best")), run.why("best")
    page = run.report(Path(run.uri) / "page.html", images=False)
    assert page.read_text().startswith("<!doctype html>")


def test_a_test_is_recorded_and_counted(run: irnas.Run) -> None:
    outcome = run.test("best")
    assert outcome.reading == 1 and outcome.split == "test"
    assert 0 <= outcome.networks[0].statistics("basicirstd")["miou"].mean <= 1
    assert irnas.test(run, "best", predictions=False).reading == 2
    assert irnas.open(run.uri).record.num_readings("test") == 2


@pytest.mark.filterwarnings("ignore:run .*, and this is irnas:UserWarning")  # a commit while it runs
def test_a_run_is_opened_and_gone_on_with(run: irnas.Run, capsys: pytest.CaptureFixture[str]) -> None:
    again = irnas.open(run.uri)
    assert again.trials == run.trials
    assert len(again.resume(trials=3, executor="loop").trials) == 3
    assert capsys.readouterr().err.count("ok: mIoU") == 1, "a line for the training that was left"
    assert len(run.trials) == 2 and len(run.refresh().trials) == 3
    with pytest.raises(SettingsError, match=r"^got 'worker'; one of address, .*; did you mean workers$"):
        again.resume(trials=4, worker=2)


def test_given_networks_are_trained_in_full(run: irnas.Run, tmp_path: Path) -> None:
    trained = irnas.train(run.uri, "best", seeds=2, run=tmp_path / "full", **SMALL, lr=1e-3)
    assert trained.settings.seeds == 2 and trained.settings.recipe.lr == 1e-3 and trained.settings.is_training
    assert len(trained.front) == 1 and trained.record.replicates
    assert trained.trials[0].genotype.key == max(run.front, key=lambda r: r.values["miou"]).key
    with pytest.raises(SettingsError, match=r"^train: got 'epoch'; one of epochs, .*; did you mean epochs$"):
        irnas.train(run.uri, "best", epoch=3)
    with pytest.raises(SettingsError, match=r"^resume of .*: got trials 3; must be left out"):
        trained.resume(trials=3)


@pytest.mark.parametrize(
    ("call", "typed"),
    [
        ({"space": "bisnet"}, "--space bisnet"),
        ({"objectives": "mious"}, "--objective mious"),
        ({"trials": 0}, "--trials 0"),
        ({"epochs": 0}, "--epochs 0"),
        ({"strategy": "moasa"}, "--strategy moasa"),
        ({"axes": {"base": [5]}}, "--axis base=5"),
        ({"axes": {"bse": [4]}}, "--axis bse=4"),
        ({"recipe": "papr"}, "--recipe papr"),
        ({"budget": "soon"}, "--budget soon"),
        ({"warm_start": "LIT11"}, "--warm-start LIT11"),
        ({"preset": "mine"}, "--preset mine"),
        ({"limits": {"ops": -1}}, "--max-ops -1"),
        ({"device": "pi4.json"}, "--device pi4.json"),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_the_command_line(call: dict[str, Any], typed: str) -> None:
    with pytest.raises(IrnasError) as in_python:
        irnas.search(**{"space": "biisnet", **call})
    with pytest.raises(IrnasError) as typed_error:
        parse_search(typed.split())[0].settings()
    assert str(in_python.value) == str(typed_error.value)
    assert type(in_python.value) is type(typed_error.value)


def test_what_only_python_can_get_wrong() -> None:
    with pytest.raises(SettingsError, match=r"^got 'trails'; one of space, .*; did you mean trials$"):
        irnas.search("biisnet", trails=3)
    with pytest.raises(SettingsError, match=r"^executor: got 'spark'; must be ray, or loop"):
        irnas.search("biisnet", executor="spark")
    with pytest.raises(SettingsError, match=r"^run: got 'nowhere'; must be the folder or URI of an irnas run"):
        irnas.open("nowhere")
    with pytest.raises(AttributeError, match="module 'irnas' has no attribute 'serch'"):
        _ = irnas.serch


def test_failures_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "failing")

    def give_up(*arguments: Any) -> execution.Outcome:
        return execution.Outcome(run=Record.__new__(Record), stop_reason="5 of 5 failed", gave_up=True, report=None)

    monkeypatch.setattr("irnas.workflows.search.search", give_up)
    with pytest.raises(TrainingError, match=r"^search: got too many failures \(5 of 5 failed\)"):
        irnas.search("biisnet", run=uri, **SMALL)


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    small = ", ".join(f"{name}={value!r}" for name, value in {**SMALL, "dataset": str(tiny().root)}.items())
    code = re.sub(r"trials=4, epochs=2", f"trials=1, axes={{'base': [4], 'stages': 2}}, {small}", block)
    assert code != block
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["probability_nhw"].shape == (2, 256, 256) and (tmp_path / "winner.xnor").exists()
