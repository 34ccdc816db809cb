from __future__ import annotations

import csv
import json
import shutil
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from support import rpcanet, trained
from support.datasets import tiny
from typer.testing import CliRunner, Result

from irnas.cli import run as run_command
from irnas.cli import score as score_command
from irnas.cli import test as test_command
from irnas.cli.export import export
from irnas.cli.front import front
from irnas.cli.weights import import_weights
from irnas.core.errors import IrnasError
from irnas.metrics import PRESETS, Counts, count_labels, summarize
from irnas.record.events import Tested
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.storage import files
from irnas.training.prediction import predictions

KEYS = [genotype.key for genotype in trained.genotypes()]
GOLDEN = Path(__file__).parents[1] / "golden" / "run-0.1"


def call(command: Any, *arguments: Any) -> Result:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def judge(*arguments: Any) -> str:
    return call(test_command.test, *arguments).stdout


def judged(*arguments: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(judge(*arguments, "--json"))
    return document


def refused(*arguments: Any) -> str:
    with pytest.raises(IrnasError) as error:
        judge(*arguments)
    return str(error.value)


def readings_of(uri: Path) -> list[Tested]:
    return [event for event in Ledger(str(uri)).events() if isinstance(event, Tested)]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    trained.write_run(folder)
    return folder


@pytest.fixture
def folder(_made: Path, tmp_path: Path) -> Path:
    """A run of two networks, the first of which was trained with three seeds."""
    return Path(shutil.copytree(_made, tmp_path / "run"))


def maps(genotype: Any, seed: int) -> list[Any]:
    """What a network says of the test images."""
    split = tiny().split("test")
    return list(predictions(trained.network_of(genotype, seed), [split.image(i) for i in range(len(split))]))


def expected(genotype: Any, seed: int, preset: str, threshold: float) -> dict[str, float]:
    split, rules = tiny().split("test"), replace(PRESETS[preset], threshold=threshold)
    rows = [count_labels(map_hw, split.mask(i), rules) for i, map_hw in enumerate(maps(genotype, seed))]
    return summarize(Counts.concat(rows))


def test_every_preset_at_the_own_threshold_and_at_half(folder: Path) -> None:
    document = judged(folder, "best")
    (training,) = document["trainings"]
    assert (training["key"], training["seed"], training["threshold"]) == (KEYS[1], 11, trained.THRESHOLD)
    genotype = trained.genotypes()[1]
    for preset in PRESETS:
        assert training["values"][preset] == pytest.approx(expected(genotype, 11, preset, trained.THRESHOLD))
        assert training["at_half"][preset] == pytest.approx(expected(genotype, 11, preset, 0.5))
    assert training["values"]["basicirstd"]["fa"] != training["at_half"]["basicirstd"]["fa"]


def test_seeds_are_one_network_with_mean_and_deviation(folder: Path) -> None:
    document = judged(folder, KEYS[0])
    fa = [expected(trained.genotypes()[0], seed, "basicirstd", trained.THRESHOLD)["fa"] for seed in (11, 12, 13)]
    (network,) = document["networks"]
    assert network["trainings"] == 3 and [t["seed"] for t in document["trainings"]] == [11, 12, 13]
    assert network["mean_and_deviation"]["basicirstd"]["fa"] == pytest.approx(
        [statistics.fmean(fa), statistics.stdev(fa)]
    )
    assert statistics.stdev(fa) > 0


def test_every_reading_is_recorded_and_counted(folder: Path) -> None:
    assert "test split read for the 1st time by this run" in judge(folder, "best")
    assert "test split read for the 2nd time by this run" in judge(folder, "all")
    readings = [(event.key, event.replicate, event.reading) for event in readings_of(folder)]
    assert readings == [(KEYS[1], 0, 1), (KEYS[0], 0, 2), (KEYS[0], 1, 2), (KEYS[0], 2, 2), (KEYS[1], 0, 2)]
    event = readings_of(folder)[0]
    assert (event.split, event.data_rev, event.seed, event.source) == ("test", tiny().revision, 11, "")
    assert Run.read(str(folder)).num_readings("test") == 2


def test_the_record_holds_what_was_printed(folder: Path) -> None:
    (training,) = judged(folder, "best")["trainings"]
    (event,) = readings_of(folder)
    assert (event.values, event.at_half) == (training["values"], training["at_half"])


@pytest.mark.parametrize("which", ["front", "all"])
def test_several_networks_are_tested_at_once(folder: Path, which: str) -> None:
    assert {network["name"] for network in judged(folder, which)["networks"]} == set(KEYS)


def test_a_training_in_full_is_tested_whole_without_a_key(tmp_path: Path) -> None:
    trained.write_run(tmp_path / "run", strategy="listed")
    assert len(judged(tmp_path / "run")["trainings"]) == 4


def test_images_that_were_trained_on_are_refused(folder: Path) -> None:
    for split in ("fit", "val", "train"):
        assert f"--split: got {split}, which shares" in refused(folder, "best", "--split", split)
    assert not readings_of(folder) and not (folder / "tests").exists()


def test_pictures_hold_map_mask_and_truth(folder: Path) -> None:
    judge(folder, "best")
    split = tiny().split("test")
    for i, map_hw in enumerate(maps(trained.genotypes()[1], 11)):
        path = folder / "tests" / "test"
        picture, mask, truth = (
            np.asarray(Image.open(path / part / f"{split.name(i)}.png"))
            for part in (f"predictions/{KEYS[1]}", f"masks/{KEYS[1]}", "truth")
        )
        assert np.abs(picture / 255 - map_hw).max() <= 0.5 / 255 + 1e-6
        np.testing.assert_array_equal(mask, 255 * (map_hw > trained.THRESHOLD))
        np.testing.assert_array_equal(truth, 255 * (split.mask(i) == 1))
        assert mask.any() and not mask.all()


def test_score_reads_the_pictures_as_they_were_tested(folder: Path) -> None:
    (training,) = judged(folder, "best")["trainings"]
    path = folder / "tests" / "test"
    for preset in ("basicirstd", "sctransnet", "rdian"):
        words = (path / "predictions" / KEYS[1], path / "truth", "--preset", preset, "--json")
        scored = json.loads(call(score_command.score, *words).stdout)
        for name in ("miou", "niou", "hiou", "pd", "fa", "f1"):
            assert scored[name] == pytest.approx(training["at_half"][preset][name]), (preset, name)


def test_each_image_has_its_counts(folder: Path) -> None:
    (training,) = judged(folder, "best")["trainings"]
    with (folder / "tests" / "test" / "images" / f"{KEYS[1]}.csv").open() as file:
        rows = list(csv.DictReader(file))
    split = tiny().split("test")
    assert len(rows) == len(split) * len(PRESETS) * 2
    own = [r for r in rows if r["preset"] == "basicirstd" and float(r["threshold"]) == trained.THRESHOLD]
    assert [row["image"] for row in own] == [split.name(i) for i in range(len(split))]
    tp, fp, fn = (sum(int(row[name]) for row in own) for name in ("tp", "fp", "fn"))
    assert tp / (tp + fp + fn) == pytest.approx(training["values"]["basicirstd"]["miou"])
    pixels = sum(int(np.prod(split.shape(i))) for i in range(len(split)))
    wrong = sum(int(row["false_alarm_pixels"]) for row in own)
    assert wrong / pixels == pytest.approx(training["values"]["basicirstd"]["fa"])


def test_curves_hold_roc_and_detections(folder: Path) -> None:
    (training,) = judged(folder, "best")["trainings"]
    with (folder / "tests" / "test" / "curves" / f"{KEYS[1]}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["preset"] for row in rows if row["curve"] == "roc"} == set(PRESETS)
    (at_half,) = (r for r in rows if r["curve"] == "detections" and float(r["threshold"]) == 0.5)
    values = training["at_half"]["basicirstd"]
    assert (float(at_half["false_rate"]), float(at_half["true_rate"])) == pytest.approx((values["fa"], values["pd"]))
    with Image.open(folder / "tests" / "test" / "curves.png") as picture:
        assert picture.width > 1000


def test_without_pictures_there_are_figures_alone(folder: Path) -> None:
    judge(folder, "best", "--no-predictions")
    names = {path.name for path in (folder / "tests" / "test").iterdir()}
    assert names == {"images", "curves", "curves.png", "reading-1.json"}


def test_the_engine_gives_the_masks_that_were_tested(folder: Path, tmp_path: Path) -> None:
    model, split = tmp_path / "winner.xnor", tiny().split("test")
    call(export, folder, "best", "-o", model)
    document = judged(model, "--run", folder, "-o", tmp_path / "out")
    assert document["trainings"][0]["engine"].startswith("xnor")
    (tmp_path / "images").mkdir()
    for i in range(len(split)):
        Image.fromarray(np.asarray(split.image(i))).save(tmp_path / "images" / f"{split.name(i)}.png")
    threshold = document["trainings"][0]["threshold"]
    call(run_command.run, model, tmp_path / "images", "-o", tmp_path / "masks", "--threshold", threshold)
    for i in range(len(split)):
        ours, theirs = (
            np.asarray(Image.open(path / f"{split.name(i)}.png"))
            for path in (tmp_path / "out" / "masks" / "winner", tmp_path / "masks")
        )
        np.testing.assert_array_equal(ours, theirs)
    (event,) = readings_of(folder)
    assert (event.key, event.source) == (KEYS[1], str(model))


def test_a_file_without_a_run_writes_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    model = Path(shutil.copy(folder / "weights" / f"{KEYS[1]}.safetensors", tmp_path / "mine.safetensors"))
    text = judge(model)
    assert "no files were written" in text and "time by this run" not in text
    document = judged(model, "-o", tmp_path / "out")
    assert document["run"] is None and document["trainings"][0]["threshold"] == trained.THRESHOLD
    assert (tmp_path / "out" / "results.json").is_file() and not readings_of(folder)
    assert "--split: got val, which shares" in refused(model, "--split", "val")


def test_weights_in_a_run_belong_to_it(folder: Path) -> None:
    judge(folder / "weights" / f"{KEYS[0]}-2.safetensors")
    (event,) = readings_of(folder)
    assert (event.key, event.replicate, event.seed, event.source) == (KEYS[0], 2, 13, "")


def test_a_stranger_is_no_network_of_a_run(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "other.xnor"
    call(export, "biisnet", "base=4,stages=2,n_bot=2", "-o", model)
    assert "must be a file of one of its networks" in refused(model, "--run", folder)
    assert not readings_of(folder)


def test_imported_weights_and_onnx_agree(tmp_path: Path) -> None:
    official = tmp_path / "NUDT.pkl"
    torch.save(rpcanet.official(stages=1, bc=2, depths=(1, 1, 1, 1)), official)
    weights, model = tmp_path / "nudt.safetensors", tmp_path / "nudt.onnx"
    call(import_weights, official, "-o", weights)
    call(export, weights, "-o", model)
    assert "--dataset: got none" in refused(weights)
    ours, theirs = (judged(path, "--dataset", tiny().root)["trainings"][0] for path in (weights, model))
    assert (ours["engine"], theirs["engine"].split()[0]) == ("torch", "onnxruntime")
    for preset in PRESETS:
        assert ours["values"][preset] == pytest.approx(theirs["values"][preset], abs=1e-3)


def test_a_run_of_version_0_1_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(GOLDEN / "run", tmp_path / "run")
    shutil.copytree(GOLDEN / "tiny", tmp_path / "data" / "tiny")
    monkeypatch.chdir(tmp_path)
    document = judged("run", "best")
    assert document["images"] == 4 and document["trainings"][0]["threshold"] == 0.5
    assert len(readings_of(tmp_path / "run")) == 1


def test_another_data_set_is_named_in_record_and_folder(folder: Path) -> None:
    other = tiny(images=8)
    judge(folder, "best", "--dataset", other.root)
    (event,) = readings_of(folder)
    assert (event.split, event.data_rev) == ("tiny/test", other.revision)
    assert (folder / "tests" / "tiny" / "test" / "reading-1.json").is_file()
    assert Run.read(str(folder)).num_readings("test") == 0


def test_a_run_that_is_being_written_is_not_read(folder: Path) -> None:
    with Ledger(str(folder)).writing():
        assert "another one is writing there now" in refused(folder, "best")
    assert not (folder / "tests").exists()


def test_the_front_shows_what_was_tested(folder: Path) -> None:
    assert "nothing was chosen by" not in call(front, folder).stdout
    judge(folder, "all")
    text = call(front, folder).stdout
    assert "nothing was chosen by" in text and "±" in text
    tests = json.loads(call(front, folder, "--json").stdout)["tests"]
    assert [(test["name"], test["trainings"]) for test in tests] == [(KEYS[0], 3), (KEYS[1], 1)]


def test_what_papers_printed_stands_beside_it(folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(tiny().root, tmp_path / "nudt-sirst"))
    text = judge(folder, "best", "--dataset", data)
    (row,) = (line for line in text.splitlines() if line.lstrip().startswith("BiisNet "))
    assert "663/664" in row and "82.88" in row
    rows = judged(folder, "best", "--dataset", data)["published"]
    assert {"RPCANet+/NUDT weights", "SGEM", "SD2Net"} <= {row["name"] for row in rows}


def test_what_cannot_be_is_one_line(folder: Path, tmp_path: Path) -> None:
    assert "model: got 'nowhere'; must be" in refused("nowhere")
    assert "got no such network" in refused(folder, "zz")
    assert "split of tiny: got 'absent'" in refused(folder, "best", "--split", "absent")
    weights = folder / "weights" / f"{KEYS[1]}.safetensors"
    assert "key: got 'best' with a file" in refused(weights, "best")
    assert "--run: got" in refused(folder, "best", "--run", folder)
    assert "got no such file" in refused(tmp_path / "absent.safetensors", "--dataset", tiny().root)
    assert "got No such file" in refused(tmp_path / "absent.xnor", "--dataset", tiny().root)
    assert not readings_of(folder)


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")]
)
def test_ordinals(number: int, text: str) -> None:
    assert test_command.ordinal(number) == text


def test_a_run_on_an_object_store_is_tested_where_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import fs

    there = fs.LocalFileSystem()
    monkeypatch.setattr(files, "_open_remote", lambda uri: (there, uri.replace("s3://bucket", str(tmp_path))))
    for part in ("ledger", "weights", "tests/test/images", "tests/test/curves"):
        (tmp_path / "run" / part).mkdir(parents=True)
        (tmp_path / "open" / part).mkdir(parents=True)
    uri = trained.write_run("s3://bucket/run", seeds=(11,))
    assert judged(uri, "best", "--no-predictions")["reading"] == 1
    # Whoever writes to a run there takes it over.
    assert "got a search that has not ended" in refused(trained.write_run("s3://bucket/open", closed=False), "best")
