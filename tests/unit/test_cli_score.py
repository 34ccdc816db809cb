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
    return {**summarize(Counts.concat(rows)), "preset": preset, "images": 3}


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


def test_masks_without_full_targets_earn_a_remark(folders: tuple[Path, Path]) -> None:
    save(folders[1] / "1.png", split()[1][1] // 2)
    assert "1 masks hold greys but no 255, so no target (first: 1.png)" in run(*folders, "--json").stderr


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


def test_folder_without_pngs(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: got no PNG files" in str(refused(folders[0], tmp_path / "empty"))


def test_names_without_partner_in_both_directions(folders: tuple[Path, Path]) -> None:
    (folders[0] / "2.png").rename(folders[0] / "two.png")
    message = str(refused(*folders))
    assert f"1 of {folders[0]} (two.png) not in {folders[1]}" in message
    assert f"1 of {folders[1]} (2.png) not in {folders[0]}" in message


def test_many_names_without_partner_are_cut_short(folders: tuple[Path, Path]) -> None:
    for k in range(10, 15):
        save(folders[0] / f"{k}.png", np.zeros((4, 4), np.uint8))
    message = str(refused(*folders))
    assert f"5 of {folders[0]} (10.png, 11.png, 12.png, ...) not in {folders[1]}; must" in message
    assert message.count("not in") == 1


def test_size_mismatch_names_the_file_and_both_sizes(folders: tuple[Path, Path]) -> None:
    save(folders[1] / "1.png", np.zeros((7, 9), np.uint8))
    error = refused(*folders)
    assert isinstance(error, DataError)
    assert "1.png: got a map and a mask of 30x21 and 9x7 pixels" in str(error)


@pytest.mark.parametrize("content", [b"", b"not a PNG", b"\x89PNG\r\n\x1a\n"])
def test_unreadable_file(folders: tuple[Path, Path], content: bytes) -> None:
    (folders[0] / "1.png").write_bytes(content)
    assert "1.png: got a file that is no readable image" in str(refused(*folders))


def test_truncated_file(folders: tuple[Path, Path]) -> None:
    path = folders[0] / "1.png"
    path.write_bytes(path.read_bytes()[:-60])
    assert "1.png: got a file that is no readable image" in str(refused(*folders))


def test_16_bit_map(folders: tuple[Path, Path]) -> None:
    save(folders[0] / "1.png", np.zeros((21, 30), np.uint16))
    assert "1.png: got a PNG of more than 8 bits" in str(refused(*folders))


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
