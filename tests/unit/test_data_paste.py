"""A target that is pasted keeps what makes it hard or easy to see, and takes nobody's place."""

from __future__ import annotations

import numpy as np
import pytest
from support.datasets import tiny

from irnas.core.errors import DataError
from irnas.data.loader import batches
from irnas.data.paste import MARGIN, MOST, Target, cut_target, paste_target
from irnas.data.statistics import measure

SIDE = 64


class Images:
    """Images and masks where a split is expected."""

    def __init__(self, *pairs: tuple[np.ndarray, np.ndarray]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, i: int) -> np.ndarray:
        return self.pairs[i][0]

    def mask(self, i: int) -> np.ndarray:
        return self.pairs[i][1]

    def shape(self, i: int) -> tuple[int, int]:
        height, width = self.pairs[i][0].shape
        return height, width

    def pixels(self, i: int) -> np.ndarray:
        return np.flatnonzero(self.pairs[i][1] == 1)


def clutter(deviation: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(100, deviation, (SIDE, SIDE))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


def with_target(contrast: int, deviation: float, top: int = 30, size: int = 3) -> tuple[np.ndarray, np.ndarray]:
    image, mask = clutter(deviation), np.zeros((SIDE, SIDE), np.uint8)
    place = slice(top, top + size), slice(30, 30 + size)
    image[place] = np.clip(image[place].astype(int) + contrast, 0, 255).astype(np.uint8)
    mask[place] = 1
    return image, mask


def cut(image: np.ndarray, mask: np.ndarray) -> Target | None:
    return cut_target(Images((image, mask)), 0, 0.5)  # type: ignore[arg-type]


def pasted(target: Target, image: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    image, mask = image.copy(), np.zeros_like(image)
    assert paste_target(target, image, mask, np.random.default_rng(seed))
    return image, mask


@pytest.mark.parametrize("contrast", [50, -50])
@pytest.mark.parametrize("deviation", [3.0, 4.0, 6.0])
def test_the_signal_to_clutter_ratio_stays(contrast: int, deviation: float) -> None:
    image, mask = with_target(contrast, 4.0)
    target = cut(image, mask)
    assert target is not None
    (before,), (after,) = measure(image, mask), measure(*pasted(target, clutter(deviation, 1)))
    assert after.area == before.area == 9 and np.sign(after.contrast) == np.sign(contrast)
    assert after.scr == pytest.approx(before.scr, rel=0.2)


def test_a_contrast_is_scaled_within_bounds() -> None:
    image, mask = with_target(40, 2.0)
    target = cut(image, mask)
    assert target is not None
    loud, calm = (measure(*pasted(target, clutter(d, 1)))[0] for d in (20.0, 0.1))
    assert loud.contrast < 1.5 * MOST * 40 and loud.scr < 0.5 * measure(image, mask)[0].scr
    assert calm.contrast == pytest.approx(20, abs=3)


def test_grey_levels_end_at_white() -> None:
    image, mask = pasted(
        Target(contrast=np.full((3, 3), 200, np.float32), mask=np.ones((3, 3), bool), clutter=1.0), clutter(1.0)
    )
    assert (image[mask == 1] == 255).all()


def test_nothing_is_pasted_onto_targets_or_ignored_pixels() -> None:
    """Of a mask with one free place, that place is found or none; what was marked stays as it was."""
    target = Target(contrast=np.full((3, 3), 50, np.float32), mask=np.ones((3, 3), bool), clutter=1.0)
    rng, num_pasted = np.random.default_rng(0), 0
    for _ in range(200):
        image, mask = clutter(2.0), np.ones((SIDE, SIDE), np.uint8)
        mask[:, SIDE // 2 :] = 2
        mask[20:40, 20:44] = 0
        image_before, mask_before = image.copy(), mask.copy()
        done = paste_target(target, image, mask, rng)
        num_pasted += done
        assert (image != image_before).any() == (mask != mask_before).any() == done
        taken = mask_before > 0
        assert (image[taken] == image_before[taken]).all() and (mask[taken] == mask_before[taken]).all()
    assert 0 < num_pasted < 200


@pytest.mark.parametrize("side", [2, 8])
def test_a_target_is_dropped_where_there_is_no_room(side: int) -> None:
    target = Target(contrast=np.ones((5, 5), np.float32), mask=np.ones((5, 5), bool), clutter=1.0)
    image, mask = np.zeros((side, side), np.uint8), np.full((side, side), 1, np.uint8)
    assert not paste_target(target, image, mask, np.random.default_rng(0))
    assert not image.any() and (mask == 1).all()


def test_what_is_cut_is_one_target_with_its_surroundings() -> None:
    image, mask = with_target(50, 2.0)
    mask[30:33, 36:40] = 1
    image[30:33, 36:40] = 250
    target = cut_target(Images((image, mask)), 0, 0.0)  # type: ignore[arg-type]
    assert target is not None and target.mask.sum() == 9
    assert target.contrast.shape == (3 + 2 * MARGIN, 3 + 2 * MARGIN)
    # The other target is no clutter.
    assert target.clutter < 4 and abs(target.contrast[0]).max() < 0.01


def test_ignored_pixels_are_no_surroundings() -> None:
    image, mask = with_target(50, 2.0)
    mask[33:, :], image[33:, :] = 2, 250
    target = cut(image, mask)
    assert target is not None and target.clutter < 4


@pytest.mark.parametrize(
    ("top", "size"), [(0, 3), (SIDE - 3, 3), (4, 50), (30, 30)], ids=["top", "bottom", "huge", "big"]
)
def test_a_target_that_may_be_cut_off_is_left_alone(top: int, size: int) -> None:
    assert cut(*with_target(50, 2.0, top, size)) is None


def test_an_image_without_target_gives_none() -> None:
    assert cut(clutter(2.0), np.zeros((SIDE, SIDE), np.uint8)) is None


def test_crops_are_drawn_as_without_pasting() -> None:
    """Where nothing was pasted, not a bit differs; where something was, there are more target pixels."""
    options = {"batch": 3, "crop": 32, "seed": 4, "target_share": 0.0}
    num_pasted = 0
    for epoch in range(6):
        plain = batches(tiny().split("fit"), epoch=epoch, **options)
        more = batches(tiny().split("fit"), epoch=epoch, paste=0.5, **options)
        for (x, y), (x_more, y_more) in zip(plain, more, strict=True):
            for before, after, mask, mask_after in zip(x, x_more, y, y_more, strict=True):
                is_pasted = bool((mask != mask_after).any())
                num_pasted += is_pasted
                assert is_pasted or (before == after).all()
                assert (mask_after >= mask).all()
    assert 5 < num_pasted < 40


@pytest.mark.parametrize("what", ["paste", "clutter"])
def test_nothing_is_laid_into_windows(what: str) -> None:
    options = {"batch": 2, "crop": 16, "seed": 0, "epoch": 0, what: 0.5}
    with pytest.raises(DataError, match=f"^loader {what}: got windows of 2 frames; must be single images, or 0"):
        batches(tiny().split("fit"), frames=2, **options)
