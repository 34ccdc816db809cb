"""Masks of every kind give the targets that were meant, and each decision is noted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import layouts
from support.layouts import mask_of

from irnas import metrics
from irnas.core.errors import DataError
from irnas.data.importer import import_folder
from irnas.data.mask import MaskNotes, read_mask, resize_nearest
from irnas.data.sample import IGNORED

TARGETS = np.zeros((40, 40), dtype=np.uint8)
TARGETS[4:7, 4:8] = 1
TARGETS[20:23, 30:34] = 2
TARGETS[30:33, 5:9] = 3
"""Three objects, numbered."""


def _read(image: Image.Image, folder: Path, notes: MaskNotes | None = None) -> np.ndarray:
    image.save(folder / "a.png")
    return read_mask(folder / "a.png", TARGETS.shape, notes or MaskNotes())


def _palette(colours: dict[int, tuple[int, int, int]], index: np.ndarray) -> Image.Image:
    image = Image.frombytes("P", index.shape[::-1], index.astype(np.uint8).tobytes())
    table = np.zeros((256, 3), dtype=np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    image.putpalette(table.ravel().tolist())
    return image


@pytest.mark.parametrize("numbers", [(1, 2, 3), (50, 120, 200), (7, 130, 254), (3, 120, 300), (256, 4096, 65534)])
def test_numbered_objects_are_targets_in_8_and_16_bits(numbers: tuple[int, ...], tmp_path: Path) -> None:
    values = np.array([0, *numbers], dtype=np.uint16 if max(numbers) > 255 else np.uint8)[TARGETS]
    notes = MaskNotes()
    np.testing.assert_array_equal(_read(Image.fromarray(values), tmp_path, notes), TARGETS > 0)
    assert notes.numbered == ["a.png"]


def test_numbers_of_objects_that_touch_are_no_soft_edges(tmp_path: Path) -> None:
    values = np.zeros((40, 40), dtype=np.uint8)
    values[5:8, 5:8], values[5:8, 8:11] = 20, 200
    assert _read(Image.fromarray(values), tmp_path).sum() == 18


@pytest.mark.parametrize("depth", [8, 16])
def test_soft_edges_are_cut_at_half_of_white(depth: int, tmp_path: Path) -> None:
    values = np.zeros((40, 40), dtype=np.uint16)
    values[9, 9:14] = (40, 127, 255, 128, 60)
    image = Image.fromarray(values.astype(np.uint8) if depth == 8 else values * np.uint16(257))
    assert np.flatnonzero(_read(image, tmp_path)[9]).tolist() == [11, 12]


def test_a_soft_mask_that_stays_below_white_is_still_soft(tmp_path: Path) -> None:
    values = np.zeros((40, 40), dtype=np.uint8)
    values[9, 9:14] = (40, 90, 250, 140, 60)
    notes = MaskNotes()
    assert np.flatnonzero(_read(Image.fromarray(values), tmp_path, notes)[9]).tolist() == [11, 12]
    assert notes.grey and not notes.numbered


def test_a_colour_palette_counts_by_index_and_255_is_ignored(tmp_path: Path) -> None:
    index = np.where(TARGETS == 3, 255, TARGETS)
    notes = MaskNotes()
    truth = _read(_palette({1: (128, 0, 0), 2: (0, 128, 0), 255: (224, 224, 192)}, index), tmp_path, notes)
    np.testing.assert_array_equal(truth, np.where(TARGETS == 3, IGNORED, TARGETS > 0))
    assert (notes.ignored, notes.ignored_pixels, notes.targets) == (["a.png"], 12, 24)
    assert "pixels that nobody cares about (12)" in notes.sentences()[-1]


def test_255_beside_areas_of_small_indices_is_ignored_in_a_grey_file_too(tmp_path: Path) -> None:
    values = np.where(TARGETS == 3, 255, TARGETS > 0).astype(np.uint8)
    np.testing.assert_array_equal(
        _read(Image.fromarray(values), tmp_path), np.where(TARGETS == 3, IGNORED, TARGETS > 0)
    )
    # A dim rim of several values, and specks, are the soft edges of a target in white.
    values = np.where(TARGETS > 0, 255, 0).astype(np.uint8)
    values[3, 4:8], values[0, 0] = (9, 30, 40, 12), 3
    np.testing.assert_array_equal(_read(Image.fromarray(values), tmp_path), TARGETS > 0)


@pytest.mark.parametrize("white", [1, 255])
def test_a_palette_of_greys_counts_by_its_greys(white: int, tmp_path: Path) -> None:
    index = np.where(TARGETS > 0, white, 0)
    np.testing.assert_array_equal(_read(_palette({white: (255,) * 3}, index), tmp_path), TARGETS > 0)
    # Sorted by number of pixels or otherwise, as optimisers leave them: the colour is meant, not the place.
    swapped = _palette({0: (255,) * 3, 1: (0,) * 3}, TARGETS == 0)
    np.testing.assert_array_equal(_read(swapped, tmp_path), TARGETS > 0)


def test_index_255_of_a_grey_palette_beside_another_index_is_ignored(tmp_path: Path) -> None:
    index = np.where(TARGETS == 3, 255, TARGETS > 0)
    truth = _read(_palette({1: (255,) * 3, 255: (128,) * 3}, index), tmp_path)
    np.testing.assert_array_equal(truth, np.where(TARGETS == 3, IGNORED, TARGETS > 0))


def test_a_colour_palette_whose_black_is_not_first(tmp_path: Path) -> None:
    image = _palette({0: (255, 0, 0), 1: (0, 0, 0)}, TARGETS == 0)
    np.testing.assert_array_equal(_read(image, tmp_path), TARGETS > 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("colour", [0, 255, 90])
def test_alpha_is_the_mask_where_nothing_else_varies(mode: str, colour: int, tmp_path: Path) -> None:
    alpha = ((TARGETS > 0) * 255).astype(np.uint8)
    image = Image.fromarray(np.dstack([*[np.full_like(alpha, colour)] * (len(mode) - 1), alpha]))
    notes = MaskNotes()
    np.testing.assert_array_equal(_read(image, tmp_path, notes), TARGETS > 0)
    assert notes.alpha == ["a.png"]
    opaque = Image.fromarray(np.dstack([*[alpha] * (len(mode) - 1), np.full_like(alpha, 255)]))
    np.testing.assert_array_equal(_read(opaque, tmp_path), TARGETS > 0)


def test_colours_count_whatever_their_luma(tmp_path: Path) -> None:
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255), (0, 100, 0)], dtype=np.uint8)
    np.testing.assert_array_equal(_read(Image.fromarray(colours[TARGETS]), tmp_path), TARGETS > 0)


def test_an_index_of_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    values = np.full(TARGETS.shape, np.nan, dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "a.tiff")
    with pytest.raises(DataError, match="not finite"):
        read_mask(tmp_path / "a.tiff", TARGETS.shape, MaskNotes())


def _set(root: Path, masks: list[np.ndarray]) -> Path:
    for key, mask in enumerate(masks):
        layouts.save(root / "images" / f"{key}.png", layouts.picture(key, mask.shape[:2]))
        layouts.save(root / "masks" / f"{key}.png", mask)
    return root


@pytest.mark.parametrize(
    ("mask", "cause"),
    [
        (np.where(TARGETS > 0, 0, 255).astype(np.uint8), "inverted"),
        (np.dstack([np.zeros_like(TARGETS), np.where(TARGETS > 0, 0, 255).astype(np.uint8)]), "alpha"),
        ((TARGETS + 1).astype(np.uint8), "numbers of classes"),
    ],
)
def test_a_share_that_cannot_be_is_refused_with_its_cause(mask: np.ndarray, cause: str, tmp_path: Path) -> None:
    root = _set(tmp_path / "set", [mask] * 3)
    with pytest.raises(DataError, match=f"likely {cause}.*--allow-large-targets insists"):
        import_folder(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert import_folder(root, tmp_path / "out", allow_large_targets=True).images == 3


def test_one_inverted_mask_among_many_is_refused(tmp_path: Path) -> None:
    good = ((TARGETS > 0) * 255).astype(np.uint8)
    root = _set(tmp_path / "set", [good] * 9 + [255 - good])
    with pytest.raises(DataError, match=r"1 file \(9.png\) with nearly every pixel"):
        import_folder(root, tmp_path / "out")


def test_ignored_pixels_reach_the_split_and_no_count(tmp_path: Path) -> None:
    from irnas.data import open_dataset, statistics
    from irnas.data.check import verify

    index = np.where(TARGETS == 3, 255, TARGETS)
    root = _set(tmp_path / "set", [np.zeros_like(TARGETS)] * 2)
    for key in range(2):
        _palette({1: (128, 0, 0), 255: (224, 224, 192)}, index).save(root / "masks" / f"{key}.png")
    manifest = import_folder(root, tmp_path / "out")
    assert manifest.targets == 4
    verify(tmp_path / "out")
    split = open_dataset(str(tmp_path / "out")).split("fit")
    assert set(np.unique(split.mask(0))) == {0, 1, IGNORED}
    assert len(split.pixels(0)) == 24 and len(statistics.measure(split.image(0), split.mask(0))) == 2
    assert IGNORED == metrics.IGNORED
    everywhere = np.ones(TARGETS.shape, dtype=np.float32)
    assert metrics.count_labels(everywhere, split.mask(0)).fp.tolist() == [40 * 40 - 24 - 12]


def test_ignored_pixels_give_no_loss_and_no_gradient() -> None:
    import torch

    from irnas.nn.loss import LOSSES
    from irnas.training.criterion import without_ignored

    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    truth = torch.zeros(2, 1, 8, 8)
    truth[:, :, 2, 2], truth[:, :, 5:, 5:] = 1, IGNORED
    ignored = truth > 1
    for name, loss in LOSSES.items():
        values = []
        for shift in (0.0, 9.0):
            moved = (logits + shift * ignored).requires_grad_()
            value = loss(*without_ignored(moved, truth, ignored))
            value.backward()
            assert not moved.grad[ignored].any() and moved.grad[~ignored].any(), name
            values.append(value.item())
        assert values[0] == values[1]
    assert without_ignored(logits, truth, None) == (logits, truth)


def _save_mask(array: np.ndarray, path: Path, mode: str | None = None) -> None:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)


@pytest.mark.parametrize("scale", [1, 255, 3, 38], ids=["0-1", "0-255", "labels", "dark"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_two_valued_masks_are_exact(scale: int, mode: str, tmp_path: Path) -> None:
    mask = mask_of(3)
    _save_mask(mask * np.uint8(scale), tmp_path / "a.png", mode)
    notes = MaskNotes()
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", mask.shape, notes), mask)
    assert len(notes.numbered) == (scale in (3, 38))


@pytest.mark.parametrize("mode", ["1", "P", "16"])
def test_masks_of_other_modes(mode: str, tmp_path: Path) -> None:
    mask = mask_of(3)
    if mode == "16":
        _save_mask(mask.astype(np.uint16) * 65535, tmp_path / "a.png")
    else:
        _save_mask(mask * np.uint8(255), tmp_path / "a.png", mode)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", mask.shape, MaskNotes()), mask)


def test_grey_masks_are_cut_above_127_and_noted(tmp_path: Path) -> None:
    values = np.array([[0, 1, 127, 128], [254, 255, 0, 0]], dtype=np.uint8)
    _save_mask(values, tmp_path / "a.png")
    notes = MaskNotes()
    mask = read_mask(tmp_path / "a.png", values.shape, notes)
    assert mask.tolist() == [[0, 0, 0, 1], [1, 1, 0, 0]]
    assert notes.sentences() == [
        "1 file (a.png) with grey mask values (4 pixels): above half of white is target (127 of 255)"
    ]


def test_a_mask_of_equal_aspect_is_resized_and_noted(tmp_path: Path) -> None:
    # The sizes of SIRST's one wrong mask.
    large = np.zeros((400, 592), dtype=np.uint8)
    large[100:111, 200:211] = 255
    _save_mask(large, tmp_path / "a.png")
    notes = MaskNotes()
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
    notes = MaskNotes()
    assert not read_mask(tmp_path / "a.png", (4, 4), notes).any()
    assert notes.sentences() == ["1 masks are empty"]
