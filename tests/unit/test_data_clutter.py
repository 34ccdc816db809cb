"""Clutter is larger than any target, lies away from all of them, and is background."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from support.datasets import tiny

from irnas.data import clutter
from irnas.data.clutter import FRAME, LEAST_CHANGE, MARGIN, draw_clutter
from irnas.data.loader import batches

SIDE = 96


def drawn(shape_number: int | None, seed: int, mask: np.ndarray | None = None) -> tuple[np.ndarray, bool]:
    """What was added to a grey image, by one kind of shape or by any of them, and whether anything was."""
    image = np.full((SIDE, SIDE), 128, np.uint8)
    mask = np.zeros_like(image) if mask is None else mask
    rng = np.random.default_rng(seed)
    before = mask.copy()
    with pytest.MonkeyPatch.context() as patch:
        if shape_number is not None:
            patch.setattr(clutter, "_SHAPES", (clutter._SHAPES[shape_number],))
        is_drawn = draw_clutter(image, mask, rng)
    assert (mask == before).all()
    return image.astype(int) - 128, is_drawn


def test_a_frame_lies_along_borders_and_nowhere_else() -> None:
    for seed in range(40):
        change, is_drawn = drawn(0, seed)
        assert is_drawn and not change[FRAME:-FRAME, FRAME:-FRAME].any()
        sides = [change[0], change[-1], change[:, 0], change[:, -1]]
        full = [side for side in sides if (abs(side) >= LEAST_CHANGE - 1).all()]
        assert 1 <= len(full) <= 4 and len({np.sign(side[SIDE // 2]) for side in full}) == 1


@pytest.mark.parametrize("shape_number", [1, 2], ids=["bars", "shore"])
def test_bars_and_shores_are_longer_than_targets(shape_number: int) -> None:
    """What stays whole inside the image reaches over at least 48 pixels; a target of SIRST over 30 at most."""
    for seed in range(60):
        change, is_drawn = drawn(shape_number, seed)
        labels, count = ndimage.label(abs(change) > LEAST_CHANGE // 2, structure=np.ones((3, 3)))
        assert is_drawn and (np.sign(change[change != 0]) == np.sign(change.sum())).all()
        for number, place in enumerate(ndimage.find_objects(labels), 1):
            rows, columns = place
            cut_off = rows.start == 0 or columns.start == 0 or SIDE in (rows.stop, columns.stop)
            extent = np.hypot(rows.stop - rows.start, columns.stop - columns.start)
            assert cut_off or extent > 40, (seed, number, count)


def test_nothing_comes_near_a_target() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[20:23, 50:54] = 1
    mask[70, 10] = 2
    near = ndimage.binary_dilation(mask > 0, iterations=MARGIN)
    num_drawn = 0
    for seed in range(100):
        change, is_drawn = drawn(None, seed, mask)
        num_drawn += is_drawn
        # A strength of 0.02 at most, of 200 grey levels.
        assert abs(change[near]).max() <= 4
        assert is_drawn or not change.any()
    assert 50 < num_drawn


def test_an_image_that_is_full_of_targets_stays_as_it_was() -> None:
    change, is_drawn = drawn(None, 0, np.ones((SIDE, SIDE), np.uint8))
    assert not is_drawn and not change.any()


def test_bright_and_dark_shapes_and_all_kinds_are_drawn() -> None:
    changes = [drawn(None, seed)[0].sum() for seed in range(100)]
    assert 60 < sum(change > 0 for change in changes) < 90


def test_crops_and_masks_are_drawn_as_without_clutter() -> None:
    """Masks never change, nor pasted targets; of the images about so many as were asked for."""
    options = {"batch": 3, "crop": 32, "seed": 4, "paste": 0.5}
    differs = []
    for epoch in range(6):
        plain = batches(tiny().split("fit"), epoch=epoch, **options)
        more = batches(tiny().split("fit"), epoch=epoch, clutter=0.5, **options)
        for (x, y), (x_more, y_more) in zip(plain, more, strict=True):
            assert (y == y_more).all()
            differs += (x != x_more).any(axis=(1, 2, 3)).tolist()
    assert 0.2 < np.mean(differs) < 0.6
