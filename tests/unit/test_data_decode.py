"""Files of every mode give the intensities that were meant, and each decision is noted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.layouts import mask_of, picture

from irnas.core.errors import DataError
from irnas.data.decode import Notes, read_image, read_mask, resize_nearest

GREY = picture(7)


def _palette(grey: np.ndarray) -> Image.Image:
    """A palette file whose indices are not its intensities."""
    image = Image.fromarray(255 - grey)
    image = image.convert("P")
    image.putpalette([255 - i for i in range(256) for _ in range(3)])
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GREY),
        Image.fromarray(np.repeat(GREY[..., None], 3, 2)),
        Image.fromarray(np.dstack([np.repeat(GREY[..., None], 3, 2), 255 - GREY])),
        Image.fromarray(np.dstack([GREY, 255 - GREY])),
        _palette(GREY),
        Image.fromarray(GREY.astype(np.uint16) * 257),
    ],
    ids=["L", "RGB", "RGBA", "LA", "P", "I;16"],
)
def test_every_mode_yields_the_intensities(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == image.mode
    notes = Notes()
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", notes), GREY)
    assert (notes.palette, notes.coloured, notes.deep) == (int(image.mode == "P"), 0, [])


def test_colour_becomes_luma_and_is_noted(tmp_path: Path) -> None:
    colour = np.zeros((4, 5, 3), dtype=np.uint8)
    colour[..., 0], colour[..., 1] = 100, 116
    Image.fromarray(colour).save(tmp_path / "a.png")
    notes = Notes()
    # 0.299 * 100 + 0.587 * 116 + 0.114 * 0 = 97.99
    assert set(read_image(tmp_path / "a.png", notes).flat) == {98}
    assert (notes.coloured, notes.chroma) == (1, 116)


def test_raw_counts_are_stretched_and_noted(tmp_path: Path) -> None:
    counts = np.linspace(8000, 8510, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(counts).save(tmp_path / "a.png")
    notes = Notes()
    image = read_image(tmp_path / "a.png", notes)
    assert (image.min(), image.max(), len(set(image.flat))) == (0, 255, 256)
    assert notes.sentences() == ["1 file (a.png) of more than 8 bits: stretched from each image's own range to 0..255"]


def _save_mask(array: np.ndarray, path: Path, mode: str | None = None) -> None:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)


@pytest.mark.parametrize("scale", [1, 255, 3, 38], ids=["0-1", "0-255", "labels", "dark"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_two_valued_masks_are_exact(scale: int, mode: str, tmp_path: Path) -> None:
    mask = mask_of(3)
    _save_mask(mask * np.uint8(scale), tmp_path / "a.png", mode)
    notes = Notes()
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", mask.shape, notes), mask)
    assert len(notes.labels) == (scale in (3, 38))


@pytest.mark.parametrize("mode", ["1", "P", "16"])
def test_masks_of_other_modes(mode: str, tmp_path: Path) -> None:
    mask = mask_of(3)
    if mode == "16":
        _save_mask(mask.astype(np.uint16) * 65535, tmp_path / "a.png")
    else:
        _save_mask(mask * np.uint8(255), tmp_path / "a.png", mode)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", mask.shape, Notes()), mask)


def test_grey_masks_are_cut_above_127_and_noted(tmp_path: Path) -> None:
    values = np.array([[0, 1, 127, 128], [254, 255, 0, 0]], dtype=np.uint8)
    _save_mask(values, tmp_path / "a.png")
    notes = Notes()
    mask = read_mask(tmp_path / "a.png", values.shape, notes)
    assert mask.tolist() == [[0, 0, 0, 1], [1, 1, 0, 0]]
    assert notes.sentences() == ["1 file (a.png) with grey mask values (4 pixels): above 127 is target"]


def test_a_mask_of_equal_aspect_is_resized_and_noted(tmp_path: Path) -> None:
    # The sizes of SIRST's one wrong mask.
    large = np.zeros((400, 592), dtype=np.uint8)
    large[100:111, 200:211] = 255
    _save_mask(large, tmp_path / "a.png")
    notes = Notes()
    mask = read_mask(tmp_path / "a.png", (220, 325), notes)
    assert mask.shape == (220, 325)
    assert mask.sum() == 36
    assert notes.sentences() == ["mask a.png: got 592x400 for an image of 325x220: resized to nearest neighbours"]
    with pytest.raises(DataError, match="must be of one size, or of one aspect ratio"):
        read_mask(tmp_path / "a.png", (325, 220), notes)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_resizing_up_by_a_factor_and_down_again_changes_nothing(h: int, w: int, times: int, seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, 2, (h, w), dtype=np.uint8)
    large = resize_nearest(mask, (h * times, w * times))
    np.testing.assert_array_equal(large, np.kron(mask, np.ones((times, times), dtype=np.uint8)))
    np.testing.assert_array_equal(resize_nearest(large, (h, w)), mask)


def test_empty_masks_are_counted(tmp_path: Path) -> None:
    _save_mask(np.zeros((4, 4), dtype=np.uint8), tmp_path / "a.png")
    notes = Notes()
    assert not read_mask(tmp_path / "a.png", (4, 4), notes).any()
    assert notes.sentences() == ["1 masks are empty"]
