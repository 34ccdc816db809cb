from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from support import rpcanet
from support.datasets import tiny
from support.opened import opened
from typer.testing import CliRunner, Result

import irnas
from irnas import cost
from irnas.cli.export import export
from irnas.core import catalog
from irnas.core import result as results
from irnas.core.errors import IrnasError
from irnas.core.proposal import Proposal
from irnas.core.recipe import Budget, Recipe
from irnas.core.settings import SearchSettings
from irnas.deploy.bench import source as bench_source
from irnas.deploy.export import source
from irnas.record.events import DataSource, Finished, Proposed, Repeated
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.runtime import reference, session
from irnas.runtime.value_range import ValueRange
from irnas.training.trial import Assignment, evaluate
from irnas.training.weights import WeightsInfo

APP = typer.Typer()
APP.command()(export)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(APP, [str(a) for a in arguments])


def refused(*arguments: Any) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, IrnasError), result.output
    assert result.stdout == ""
    return str(result.exception)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one short trial."""
    folder = tmp_path_factory.mktemp("run")
    genotype = catalog.find_point("biisnet", "base=4,stages=2,n_bot=0")
    assignment = Assignment(
        trial=0,
        genotype=genotype,
        costs=cost.price(genotype, (1, 64, 64)),
        seed=1,
        dataset=str(tiny().root),
        data_rev=tiny().revision,
        code_rev="c",
        budget=Budget(epochs=1, batch=4, crop=32),
        recipe=Recipe(),
        preset="basicirstd",
        uri=str(folder),
    )
    result = list(evaluate(assignment))[-1]
    assert isinstance(result, results.Result)
    record = Ledger(str(folder))
    with record.writing():
        settings = SearchSettings(space="biisnet", dataset=str(tiny().root))
        data = DataSource(name="tiny", revision=tiny().revision, path=str(tiny().root))
        record.append(opened(settings, data=data))
        proposal = Proposal(trial=result.trial, genotype=result.genotype, costs={}, origin="random")
        record.append(Proposed(proposal=proposal))
        record.append(Finished(result=result))
    return folder


def test_the_best_of_a_run_becomes_a_file_with_its_parity(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.xnor"
    result = run(folder, "best", "-o", out)
    assert result.exit_code == 0, result.output
    model = reference.load(out)
    assert reference.verify(model) and model.data_rev == tiny().revision and model.exporter.startswith("irnas ")
    assert model.name == f"biisnet {model.trial}"
    assert model.parity["images"] == len(tiny().split("val")) and model.parity["sign_flip_rate"] <= 1e-4
    assert "of the signs" in result.stdout and "val" in result.stdout


def test_a_key_or_its_beginning_names_the_same_network(folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.xnor", "b.xnor")]
    key = json.loads(run(folder, "best", "-o", files[0], "--json").stdout)["name"].split()[-1]
    assert run(folder, key[:4], "-o", files[1]).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_point_of_a_space_is_exported_untrained(tmp_path: Path) -> None:
    out = tmp_path / "lit.xnor"
    exported = json.loads(run("biisnet", "LIT10", "--input", "1x256x256", "-o", out, "--json").stdout)
    assert exported["bytes"] == out.stat().st_size < 60_000 and "parity" not in exported
    assert reference.load(out).reference.output_sha256 == exported["reference"]
    wide = json.loads(run("biisnet", "base=4,in_ch=3", "--input", "3x64x64", "-o", out, "--json").stdout)
    assert wide["ops"] and reference.load(out).input.channels == 3


@pytest.mark.parametrize(
    ("make", "name"), [(rpcanet.imported, "w.safetensors"), (rpcanet.imported_by_0_1, "w.pt")], ids=["now", "0.1"]
)
def test_imported_weights_are_exported(tmp_path: Path, make: Callable[[Path], Path], name: str) -> None:
    file, out = make(tmp_path / name), tmp_path / "w.onnx"
    exported = json.loads(run(file, "-o", out, "--json").stdout)
    assert exported["name"] == "rpcanet_plus w" and exported["bytes"] == out.stat().st_size
    network = irnas.load(file)
    image_hw = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
    with torch.no_grad():
        wanted = network(torch.from_numpy(image_hw / np.float32(255))[None, None]).sigmoid()[0, 0].numpy()
    np.testing.assert_allclose(session.load(out).run(image_hw[None])[0], wanted, atol=1e-5)


def test_what_is_known_of_weights_goes_into_the_file(tmp_path: Path) -> None:
    chosen = {"threshold": 0.9241, "miou_at_threshold": 0.614, "miou_at_half": 0.58}
    data = DataSource(name="tiny", revision=tiny().revision, path=str(tiny().root))
    facts = {**chosen, "data": data, "value_range": ValueRange(1000.0, 5000.0)}
    file, out = rpcanet.imported(tmp_path / "w.safetensors", **facts), tmp_path / "w.onnx"
    exported = json.loads(run(file, "-o", out, "--json").stdout)
    assert {name: exported[name] for name in chosen} == chosen and exported["counts"] == [1000, 5000]
    # Compared on the set it was trained on, which is still there.
    assert exported["parity"]["dataset"].startswith("tiny/")
    assert session.load(out).facts.threshold == 0.9241
    assert "threshold 0.9241, chosen on validation: mIoU 61.40 % (58.00 % at 0.5)" in run(file, "-o", out).stdout
    (rules,) = {source.from_weights(str(file), dataset).rules for dataset in (None, str(tiny().root))}
    assert rules.threshold == 0.9241
    gone = replace(data, path=str(tmp_path / "gone"))
    file = rpcanet.imported(tmp_path / "w.safetensors", **{**facts, "data": gone})
    assert "compared with nothing" in run(file, "-o", out).stdout


def test_a_name_goes_with_a_run_or_a_space_alone(tmp_path: Path) -> None:
    file, out = rpcanet.imported(tmp_path / "w.safetensors"), tmp_path / "x.onnx"
    assert "name: got 'best' with a file of weights; must be left out" in refused(file, "best", "-o", out)
    assert "name: got nothing; must be" in refused("biisnet", "-o", out)
    for absent in ("absent.pt", "absent.safetensors"):
        assert f"{absent}: got no such file" in refused(tmp_path / absent, "-o", out)
    assert not out.exists()


def test_a_network_of_a_run_is_benched_by_the_same_names(folder: Path) -> None:
    image_hw = np.zeros((32, 32), np.uint8)
    key = json.loads((folder / "ledger.jsonl").read_text().splitlines()[-1])["result"]["key"]
    names = ("best", "knee", key[:4], "0")
    models = [bench_source.from_run(f"{folder}:{name}", image_hw).model for name in names]
    digests = [model.reference.output_sha256 for model in models if model is not None]
    assert len(digests) == 4 and len(set(digests)) == 1


def test_an_export_is_repeated_byte_by_byte(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.xnor", "b.xnor")]
    for file in files:
        assert run("biisnet", "base=4", "-o", file).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert run("biisnet", "base=4", "-o", files[1], "--seed", 1).exit_code == 0
    assert files[0].read_bytes() != files[1].read_bytes()


def test_a_point_is_compared_where_a_data_set_is_named(tmp_path: Path) -> None:
    words = ("biisnet", "base=4", "-o", tmp_path / "x.xnor", "--dataset", tiny().root, "--images", 1, "--json")
    assert json.loads(run(*words).stdout)["parity"]["images"] == 1


def test_what_cannot_be_is_one_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.xnor"
    assert ".xnor or .onnx" in refused("biisnet", "LIT10", "-o", tmp_path / "x.tflite")
    assert "sign0: got 0" in refused("biisnet", "sign0=0", "-o", out)
    assert "source: got 'nothere'; must be" in refused("nothere", "LIT10", "-o", out)
    assert "got no such network" in refused(folder, "zz", "-o", out)
    assert "input channels: got 3; must be 1" in refused("biisnet", "LIT10", "--input", "3x64x64", "-o", out)
    assert "--input: got '64'" in refused("biisnet", "LIT10", "--input", "64", "-o", out)
    assert "--opset: got one with a .xnor file" in refused("biisnet", "LIT10", "--opset", 18, "-o", out)
    assert "--batch: got one with a .xnor file" in refused("biisnet", "LIT10", "--batch", "dynamic", "-o", out)
    onnx = tmp_path / "x.onnx"
    assert "--opset: got 16; must be 17 or later" in refused("biisnet", "LIT10", "--opset", 16, "-o", onnx)
    assert "--batch: got '0'; must be 1..1024, or dynamic" in refused("biisnet", "LIT10", "--batch", 0, "-o", onnx)
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_the_runs_own_is_refused(folder: Path, tmp_path: Path) -> None:
    record = Ledger(str(tmp_path / "run"))
    *before, finished = Ledger(str(folder)).events()
    assert isinstance(finished, Finished)
    with record.writing():
        for event in before:
            record.append(event)
        record.append(Finished(result=replace(finished.result, data_rev="0" * 16)))
    (tmp_path / "run" / "weights").mkdir()
    for file in (folder / "weights").iterdir():
        (tmp_path / "run" / "weights" / file.name).write_bytes(file.read_bytes())
    assert "got revision" in refused(tmp_path / "run", "best", "-o", tmp_path / "x.xnor")


def outcome(trial: int, miou: float, width: int) -> results.Result:
    genotype = catalog.find_point("biisnet", f"base={width}")
    return results.Result(
        trial=trial,
        genotype=genotype,
        status=results.Status.OK,
        values={"miou": miou, "ops": 1e6},
        epochs=1,
        seed=0,
        data_rev="",
        code_rev="",
        seconds=0.0,
    )


def test_best_takes_the_mean_over_all_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    lucky, steady = outcome(0, 0.3, 4), outcome(1, 0.25, 8)
    run = Run("r", opened())
    for result in (lucky, steady):
        run.add(Proposed(proposal=Proposal(trial=result.trial, genotype=result.genotype, costs={}, origin="random")))
        run.add(Finished(result=result))
    run.add(Repeated(trial=0, key=lucky.key, seed=1, seconds=1.0, values={"miou": 0.1}))
    monkeypatch.setattr(source.Run, "read", lambda uri: run)
    monkeypatch.setattr(
        source.weights,
        "find_weights",
        lambda run, result: (result.key, WeightsInfo(genotype=result.genotype, origin="trained")),
    )
    assert source.from_run("r", "best", str(tiny().root)).network == steady.key
