"""The command ``irnas baseline``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from support.datasets import tiny
from typer.testing import CliRunner, Result

from irnas.baseline import find_method
from irnas.baseline.threshold import parse
from irnas.baseline.trial import judge
from irnas.cli.baseline import baseline
from irnas.core.errors import DataError, IrnasError, SettingsError
from irnas.metrics import preset

APP = typer.Typer()
APP.command()(baseline)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(APP, ["top-hat", "--dataset", str(tiny().root), *map(str, arguments)])


def refused(*arguments: Any) -> IrnasError:
    result = run(*arguments)
    assert isinstance(result.exception, IrnasError), result.output
    return result.exception


def test_json_holds_the_metrics_and_where_they_come_from() -> None:
    result = run("--json", "--threshold", "0.5max", "--preset", "sctransnet")
    assert result.exit_code == 0 and result.stderr == ""
    document, dataset = json.loads(result.stdout), tiny()
    rule = parse("0.5max")
    assert rule is not None
    judgement = judge(
        find_method("top-hat"), dataset.split("test"), rule, preset("sctransnet"), images=None, tick=lambda *_: None
    )
    assert document.pop("metrics") == judgement.metrics
    assert document.pop("seconds_per_image") > 0 <= document.pop("cpu_seconds_per_image")
    assert document == {
        "name": "top-hat",
        "title": "Top-Hat",
        "paper": "Zeng et al., 2006",
        "dataset": dataset.name,
        "data_rev": dataset.revision,
        "split": "test",
        "images": len(dataset.split("test")),
        "images_of_split": len(dataset.split("test")),
        "threshold": "0.5max",
        "threshold_from": "a fixed rule",
        "preset": "sctransnet",
    }


def test_the_table_says_over_what(tmp_path: Path) -> None:
    out = " ".join(run("--split", "fit", "--images", 3).stdout.split())
    assert f"3 of {len(tiny().split('fit'))} images, threshold 10sigma" in out
    for name in ("miou", "niou", "pd", "fa", "auc", "seconds"):
        assert name in out
    assert "mean of 3 images" in out


def test_the_file_holds_what_json_prints(tmp_path: Path) -> None:
    path = tmp_path / "document" / "top-hat.json"
    result = run("--json", "-o", path, "--images", 2)
    assert json.loads(path.read_text()) == json.loads(result.stdout)
    assert [p.name for p in path.parent.iterdir()] == ["top-hat.json"]


def test_a_threshold_of_fit_never_judges_the_images_of_fit() -> None:
    document = json.loads(run("--json", "--threshold", "fit", "--split", "val").stdout)
    assert document["threshold_from"] == "the split fit" and document["threshold"].endswith("sigma")
    for split in ("fit", "train"):
        error = refused("--threshold", "fit", "--split", split)
        assert isinstance(error, SettingsError)
        assert f"--threshold fit: got --split {split}, which shares" in str(error)


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        (("--threshold", "high"), SettingsError, "--threshold: got 'high'"),
        (("--preset", "best"), SettingsError, "preset: got 'best'"),
        (("--images", "0"), SettingsError, "--images: got 0; must be at least 1"),
        (("--split", "dev"), DataError, "got 'dev'; one of"),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], kind: type[IrnasError], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "never.json"
    error = refused(*arguments, "-o", path)
    assert isinstance(error, kind) and expected in str(error)
    assert not path.exists()


def test_an_unknown_method() -> None:
    result = CliRunner().invoke(APP, ["lcm", "--dataset", str(tiny().root)])
    assert isinstance(result.exception, SettingsError) and "baseline: got 'lcm'" in str(result.exception)
