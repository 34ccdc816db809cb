"""Files of every mode give the intensities that were meant, and each decision is noted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.layouts import picture

from irnas.core.errors import DataError
from irnas.data import decode
from irnas.data.decode import Notes, read_image

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
    is_deep = image.mode.startswith("I")
    assert (notes.palette, notes.coloured, len(notes.deep)) == (int(image.mode == "P"), 0, int(is_deep))


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
    assert notes.sentences() == ["1 file (a.png) of more than 8 bits: the range of each image became 0..255"]


def test_a_picture_beyond_all_sizes_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(decode, "MAX_PIXELS", GREY.size)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", Notes()), GREY)
    monkeypatch.setattr(decode, "MAX_PIXELS", GREY.size - 1)
    # Decoded first, it would take its memory, and then be found to be cut short.
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-20])
    with pytest.raises(DataError, match=rf"a\.png: got \d+x\d+, which is {GREY.size} pixels; must have at most"):
        read_image(tmp_path / "a.png", Notes())


def test_pillow_s_own_warning_of_large_pictures_does_not_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", GREY.size - 1)
    # Warnings are errors here.
    assert not decode.is_deep(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", Notes()), GREY)
