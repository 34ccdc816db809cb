from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from irnas.cli import main
from irnas.cli.score import score
from irnas.core.errors import DataError, IrnasError, SettingsError
from irnas.metrics import PRESETS, Counts, count, summarize

APP = typer.Typer()
APP.command()(score)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(APP, [str(a) for a in arguments])


def refused(*arguments: Any) -> IrnasError:
    result = run(*arguments)
    assert isinstance(result.exception, IrnasError), result.output
    assert result.stdout == ""
    return result.exception


def save(path: Path, image_hw: Any, mode: str | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(image_hw)
    (image.convert(mode) if mode else image).save(path)


def split(images: int = 3) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(11)
    pairs = []
    for k in range(images):
        truth_hw = np.zeros((20 + k, 30), dtype=np.uint8)
        truth_hw[4:7, 5 + k : 8 + k] = truth_hw[15:17, 20:23] = 255
        map_hw = np.clip(0.6 * truth_hw + rng.normal(60, 30, truth_hw.shape), 0, 255).astype(np.uint8)
        pairs.append((map_hw, truth_hw))
    return pairs


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for k, (map_hw, truth_hw) in enumerate(split()):
        save(tmp_path / "maps" / f"{k}.png", map_hw)
        save(tmp_path / "masks" / f"{k}.png", truth_hw)
    return tmp_path / "maps", tmp_path / "masks"


def expected(preset: str) -> dict[str, Any]:
    rows = [count(m / np.float32(255), t, PRESETS[preset]) for m, t in split()]
    values = summarize(Counts.concat(rows))
    points = {"score_before_costs": 25 * (values["miou"] + values["pd"]) + 50} if preset == "limitirstd" else {}
    return {**values, **points, "preset": preset, "images": 3}


@pytest.mark.parametrize("preset", PRESETS)
def test_json_holds_the_metrics_of_the_split(folders: tuple[Path, Path], preset: str) -> None:
    result = run(*folders, "--preset", preset, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == expected(preset)
    assert result.stderr == ""


def test_default_preset_is_basicirstd(folders: tuple[Path, Path]) -> None:
    assert json.loads(run(*folders, "--json").stdout) == expected("basicirstd")


def test_table_names_every_metric_and_the_unit_of_fa(folders: tuple[Path, Path]) -> None:
    values = expected("basicirstd")
    text = run(*folders).stdout
    for name in set(values) - {"preset", "images"}:
        assert name in text
    assert f"{values['fa'] * 1e6:.2f} x 1e-6" in text
    assert "of 1890 pixels" in text
    assert "of 6 targets" in text
    assert "of 1845 background pixels" in run(*folders, "--preset", "rpcanet").stdout


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_other_modes_are_read_as_grey(folders: tuple[Path, Path], mode: str) -> None:
    for k, (map_hw, truth_hw) in enumerate(split()):
        save(folders[0] / f"{k}.png", map_hw, mode)
        save(folders[1] / f"{k}.png", truth_hw, mode)
    assert json.loads(run(*folders, "--json").stdout) == expected("basicirstd")


def test_a_palette_is_looked_up(folders: tuple[Path, Path]) -> None:
    for k, (_, truth_hw) in enumerate(split()):
        image = Image.fromarray((truth_hw == 0).astype(np.uint8)).convert("P")
        image.putpalette([255, 255, 255, 0, 0, 0])
        image.save(folders[1] / f"{k}.png")
    assert json.loads(run(*folders, "--json").stdout) == expected("basicirstd")


def test_masks_may_hold_0_and_1_or_single_bits(folders: tuple[Path, Path]) -> None:
    for k, (_, truth_hw) in enumerate(split()):
        image_hw = truth_hw // 255 if k else truth_hw == 255
        save(folders[1] / f"{k}.png", image_hw)
    with Image.open(folders[1] / "0.png") as image:
        assert image.mode == "1"
    assert json.loads(run(*folders, "--json").stdout) == expected("basicirstd")


def test_maps_of_0_and_1_are_probabilities_with_a_remark(folders: tuple[Path, Path]) -> None:
    for k, (_, truth_hw) in enumerate(split()):
        save(folders[0] / f"{k}.png", truth_hw // 255)
    result = run(*folders, "--json")
    assert json.loads(result.stdout)["miou"] == 0
    assert "exceeds 1 of 255" in result.stderr


def test_files_are_read_as_import_reads_them(folders: tuple[Path, Path]) -> None:
    for path in [*folders[0].iterdir(), *folders[1].iterdir()]:
        path.unlink()
    for k, (map_hw, truth_hw) in enumerate(split()):
        numbered = np.where(truth_hw > 0, 3, 0).astype(np.uint16)
        numbered[15:17, 20:23] *= 100
        save(folders[1] / f"Misc_{k}_pixels0.tiff", numbered)
        if k == 0:
            save(folders[0] / f"Misc_{k}.bmp", map_hw)
        elif k == 1:
            save(folders[0] / f"Misc_{k}.png", map_hw.astype(np.uint16) * 257)
        else:
            save(folders[0] / f"Misc_{k}.tif", map_hw / np.float32(255))
    (folders[0] / ".hidden.png").write_bytes(b"no image")
    result = run(*folders, "--json")
    assert json.loads(result.stdout) == pytest.approx(expected("basicirstd")), result.stderr
    assert "with mask values that are numbers" in result.stderr


def test_grey_masks_are_decided_by_the_rule_of_import(folders: tuple[Path, Path]) -> None:
    grey_hw = split()[1][1].copy()
    grey_hw[4, 5:7] = 60
    save(folders[1] / "1.png", grey_hw)
    assert "above half of white is target" in run(*folders, "--json").stderr


def test_the_contest_s_score_takes_the_size_of_the_network(folders: tuple[Path, Path]) -> None:
    words = ("--preset", "limitirstd", "--params", "28.8K", "--flops", "42.6M")
    values = json.loads(run(*folders, *words, "--json").stdout)
    points = 25 * (values["miou"] + values["pd"]) + 50 - 11.237 * 0.0288 - 1.990 * 0.0426
    assert values["score"] == pytest.approx(points, abs=1e-9)
    assert f"{points:.2f}" in run(*folders, *words).stdout
    assert "--flops: got none" in str(refused(*folders, *words[:4]))
    assert "must be with --preset limitirstd" in str(refused(*folders, *words[2:]))
    assert "--params: got 'many'" in str(refused(*folders, *words[:3], "many", *words[4:]))


def test_maps_of_floats_are_probabilities(folders: tuple[Path, Path]) -> None:
    (folders[0] / "1.png").unlink()
    save(folders[0] / "1.tiff", split()[1][0].astype(np.float32))
    assert "must be probabilities in 0..1" in str(refused(*folders))


def test_other_files_are_passed_over(folders: tuple[Path, Path]) -> None:
    (folders[1] / "0.xml").write_text("<x/>")
    (folders[0] / "sub.png").mkdir()
    assert run(*folders, "--json").exit_code == 0


@pytest.mark.parametrize("is_terminal", [False, True])
def test_many_files_show_a_bar_on_a_terminal_only(
    tmp_path: Path, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # rich takes FORCE_COLOR for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1") if is_terminal else monkeypatch.delenv("FORCE_COLOR", raising=False)
    for k in range(25):
        for folder in ("a", "b"):
            save(tmp_path / folder / f"{k}.png", np.zeros((4, 4), np.uint8))
    result = run(tmp_path / "a", tmp_path / "b", "--json")
    assert json.loads(result.stdout)["images"] == 25
    assert ("scoring" in result.stderr) == is_terminal == bool(result.stderr)


def test_missing_folder(folders: tuple[Path, Path], tmp_path: Path) -> None:
    error = refused(tmp_path / "none", folders[1])
    assert isinstance(error, SettingsError)
    assert "none: got no such folder" in str(error)
    assert "0.png: got no such folder" in str(refused(folders[0], folders[1] / "0.png"))


def test_folder_without_images(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: got no image files" in str(refused(folders[0], tmp_path / "empty"))


def test_names_without_partner_in_both_directions(folders: tuple[Path, Path]) -> None:
    (folders[0] / "2.png").rename(folders[0] / "two.png")
    assert f"{folders[0]}: got 1 images without a mask, the first 'two'" in str(refused(*folders))
    (folders[0] / "two.png").unlink()
    assert f"{folders[1]}: got 1 masks without an image, the first '2.png'" in str(refused(*folders))


def test_size_mismatch_names_the_file_and_both_sizes(folders: tuple[Path, Path]) -> None:
    save(folders[1] / "1.png", np.zeros((7, 9), np.uint8))
    error = refused(*folders)
    assert isinstance(error, DataError)
    assert "mask 1.png: got 9x7 for an image of 30x21" in str(error)


@pytest.mark.parametrize("content", [b"", b"not a PNG", b"\x89PNG\r\n\x1a\n"])
def test_unreadable_file(folders: tuple[Path, Path], content: bytes) -> None:
    (folders[0] / "1.png").write_bytes(content)
    assert "1.png: got a file that cannot be read" in str(refused(*folders))


def test_truncated_file(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "1.png"
    path.write_bytes(path.read_bytes()[:-60])
    assert "1.png: got a file that cannot be read" in str(refused(*folders))


def test_unknown_preset(folders: tuple[Path, Path]) -> None:
    assert "preset: got 'best'; one of basicirstd" in str(refused(*folders, "--preset", "best"))


def test_a_user_error_is_one_line_and_exit_2(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["irnas", "score", *map(str, folders), "--preset", "best"])
    assert main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("irnas: preset: got 'best'")
    assert err.count("\n") == 1
