"""Frames are numbered by what varies, ordered alike for import and run, and cut where a sequence has gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import layouts

from irnas.core.errors import DataError
from irnas.data import open_dataset
from irnas.data.dataset import EVERY
from irnas.data.frames import describe, frame_numbers, gaps, told_by_several, usual_step
from irnas.data.importer import import_folder
from irnas.data.layouts import discover
from irnas.data.pictures import list_pictures


@pytest.mark.parametrize(
    ("leaves", "numbers"),
    [
        (["0", "1", "2", "10"], [0, 1, 2, 10]),
        (["cam2_f001_v3", "cam2_f010_v3", "cam2_f002_v3"], [1, 10, 2]),
        (["1(9)", "2(9)", "11(9)"], [1, 2, 11]),
        (["8bit", "8bit_a"], [0, 1]),
        (["b", "a", "c"], [1, 0, 2]),
        (["000007_1699999990", "000008_1699999950", "000009_1699999980"], [7, 8, 9]),
        (["2024-01-31_12-00-59", "2024-01-31_12-01-00", "2024-01-31_12-02-00"], [0, 1, 2]),
        (["20240131120059123", "20240131120100123"], [0, 1]),
        (["x1", "x01"], [0, 1]),
    ],
)
def test_the_number_that_varies_is_the_frame(leaves: list[str], numbers: list[int]) -> None:
    number_of = frame_numbers([f"s/{leaf}" for leaf in leaves])
    assert [number_of[f"s/{leaf}"] for leaf in leaves] == numbers


def test_sequences_are_numbered_each_by_its_own_names() -> None:
    assert frame_numbers(["a/f1_7", "a/f2_7", "b/f1_8", "b/f1_9"]) == {
        "a/f1_7": 1,
        "a/f2_7": 2,
        "b/f1_8": 8,
        "b/f1_9": 9,
    }


def test_sequences_that_no_single_number_orders_are_known() -> None:
    assert told_by_several(["s/c1_f1", "s/c2_f1", "s/c1_f2", "t/c1_f1", "t/c1_f2", "u/a", "c1_f1"]) == ["s"]


def test_a_gap_is_more_than_the_usual_step() -> None:
    assert gaps([1, 2, 3, 10, 11, 250]) == [(3, 10), (11, 250)]
    assert gaps([0, 5, 10, 15, 25]) == [(15, 25)]
    assert gaps([4]) == gaps([4, 4]) == [] and usual_step([4, 4]) == 0
    sentences = describe({"s": [1, 2, 3, 10], "t": [1, 1, 2]})
    assert sentences == [
        "1 sequence with gaps between frames (the first s: 3 to 10): no window reaches across a gap",
        "1 sequence with several frames of one number (the first t, number 1): ordered by name",
    ]


def test_no_window_reaches_across_a_gap_or_another_size(tmp_path: Path) -> None:
    frames = {1: (20, 24), 2: (20, 24), 7: (20, 24), 8: (20, 24), 9: (16, 30), 10: (16, 30)}
    for t, shape in frames.items():
        for folder, array in (("images", layouts.picture(t, shape)), ("masks", layouts.mask_of(t, shape) * 255)):
            layouts.save(tmp_path / "set" / folder / "s" / f"{t}.png", array)
    manifest = import_folder(tmp_path / "set", tmp_path / "out")
    assert any("2 to 7" in w for w in manifest.warnings) and any("24x20, 30x16" in w for w in manifest.warnings)
    split = open_dataset(str(tmp_path / "out")).split(EVERY)
    number_of = {layouts.picture(t, shape).tobytes(): t for t, shape in frames.items()}
    windows = {split.frame(i): [number_of[im.tobytes()] for im in split.window(i, 3)] for i in range(len(split))}
    assert windows == {1: [1, 1, 1], 2: [1, 1, 2], 7: [7, 7, 7], 8: [7, 7, 8], 9: [9, 9, 9], 10: [9, 9, 10]}


def _clip(path: Path, arrays: list[np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = [Image.fromarray(array) for array in arrays]
    pages[0].save(path, save_all=True, append_images=pages[1:])


def test_the_pages_of_a_file_are_frames_or_it_is_refused(tmp_path: Path) -> None:
    _clip(tmp_path / "images" / "clip.tif", [layouts.picture(t) for t in range(4)])
    layouts.save(tmp_path / "masks" / "clip.png", layouts.mask_of(1) * 255)
    with pytest.raises(DataError, match=r"clip\.tif: got 4 pages and 1 of its mask"):
        discover(tmp_path)
    (tmp_path / "masks" / "clip.png").unlink()
    _clip(tmp_path / "masks" / "clip.tiff", [layouts.mask_of(t) * 255 for t in range(4)])
    manifest = import_folder(tmp_path, tmp_path / "out")
    assert (manifest.images, manifest.sequences) == (4, 1)
    split = open_dataset(str(tmp_path / "out")).split("train")
    for t in range(4):
        assert (split.name(t), split.frame(t)) == (f"clip/{t:04d}", t)
        np.testing.assert_array_equal(split.image(t), layouts.picture(t))
        np.testing.assert_array_equal(split.mask(t), layouts.mask_of(t))


def test_a_run_takes_frames_in_the_order_of_import(tmp_path: Path) -> None:
    names = [f"run/f{t}_v2" for t in range(12)]
    layouts.pairs(tmp_path / "images", tmp_path / "masks", names)
    imported = [entry.image for entry in discover(tmp_path).entries]
    assert [p.path for p in list_pictures([tmp_path / "images" / "run"])] == imported
    assert [p.path.stem for p in list_pictures(imported[::-1])] == [f"f{t}_v2" for t in range(12)]


def test_several_sequences_and_folders_of_them_are_run_at_once(tmp_path: Path) -> None:
    for folder in ("day/cam1", "day/cam2", "night/cam1"):
        for t in (1, 2, 10, 11):
            layouts.save(tmp_path / folder / f"{t}.png", layouts.picture(t))
    (tmp_path / "day" / ".hidden").mkdir()
    layouts.save(tmp_path / "day" / ".hidden" / "x.png", layouts.picture(1))
    pictures = list_pictures([tmp_path / "day"])
    assert [p.output for p in pictures] == [f"{cam}/{t}" for cam in ("cam1", "cam2") for t in (1, 2, 10, 11)]
    assert [p.begins for p in pictures] == [True, False, True, False] * 2
    pictures = list_pictures([tmp_path / "day" / "cam1", tmp_path / "night" / "cam1"])
    assert [p.output for p in pictures[::4]] == ["day/cam1/1", "night/cam1/1"]
    # One folder, and folders whose names differ, stay flat.
    assert [p.output for p in list_pictures([tmp_path / "day" / "cam1"])] == ["1", "2", "10", "11"]
    with pytest.raises(DataError, match="got a name twice"):
        list_pictures([tmp_path / "day" / "cam1", tmp_path / "day" / "cam1" / "1.png"])


def test_pages_are_run_as_a_sequence_of_their_own(tmp_path: Path) -> None:
    _clip(tmp_path / "clip.tif", [layouts.picture(t) for t in range(3)])
    pictures = list_pictures([tmp_path])
    assert [(p.page, p.output, p.begins) for p in pictures] == [
        (0, "clip/0000", True),
        (1, "clip/0001", False),
        (2, "clip/0002", False),
    ]
