"""Crops may be magnified: half of them, by up to a zoom, with their masks, and all else as it is drawn without."""

from __future__ import annotations

import numpy as np
import pytest
from support.datasets import tiny

from irnas.core.errors import DataError, SettingsError
from irnas.core.recipe import Recipe
from irnas.data.loader import batches


class Ramp:
    """Forty times the same image, whose target is all that is brighter than 32."""

    def __init__(self, image: np.ndarray) -> None:
        self._image = image

    def __len__(self) -> int:
        return 40

    def shape(self, i: int) -> tuple[int, ...]:
        return self._image.shape

    def window(self, i: int, frames: int) -> list[np.ndarray]:
        return [self._image]

    def mask(self, i: int) -> np.ndarray:
        return (self._image > 32).astype(np.uint8)

    def pixels(self, i: int) -> np.ndarray:
        return np.flatnonzero(self._image > 32)


OPTIONS = {"batch": 3, "crop": 32, "seed": 4, "target_share": 1.0, "flips": False, "brightness": False}


def areas(zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether each crop of 40 passes differs from that without zoom, and its target pixels."""
    differs, sizes = [], []
    for epoch in range(40):
        plain = batches(tiny().split("fit"), epoch=epoch, **OPTIONS)
        zoomed = batches(tiny().split("fit"), epoch=epoch, zoom=zoom, **OPTIONS)
        for (x, _), (x_zoomed, y_zoomed) in zip(plain, zoomed, strict=True):
            differs += (x != x_zoomed).any(axis=(1, 2, 3)).tolist()
            sizes += (y_zoomed == 1).sum(axis=(1, 2, 3)).tolist()
    return np.array(differs), np.array(sizes)


def test_half_of_the_crops_are_magnified_and_targets_with_them() -> None:
    differs, sizes = areas(4.0)
    assert 0.4 < differs.mean() < 0.6
    # The mean over a logarithm that is even in 0..log 4 of the square of the zoom is 15 / (2 log 4) = 5.4.
    assert 3 < sizes[differs].mean() / sizes[~differs].mean() < 8


def test_a_magnified_crop_is_a_part_of_the_image_resized_with_its_mask() -> None:
    """A ramp stays one, by the zoom less steep, and the mask is 1 where the ramp says so."""
    rows = np.arange(64, dtype=np.uint8)
    split = Ramp(np.repeat(rows[:, None], 64, 1))
    ((x, y),) = batches(split, epoch=0, zoom=2.0, batch=40, crop=32, seed=1, flips=False, brightness=False)
    slopes = np.rint(255 * (x[:, 0, -4, 0] - x[:, 0, 4, 0])) / (32 - 8)
    assert slopes.min() < 0.6 and slopes.max() == 1
    middle = x[:, 0] * 255
    assert (y[:, 0][middle > 33] == 1).all() and (y[:, 0][middle < 31] == 0).all()


def test_what_lies_beyond_an_image_is_magnified_like_it() -> None:
    split = Ramp(np.full((20, 64), 100, np.uint8))
    for mirror, least in ((False, 0), (True, 100)):
        ((x, y),) = batches(split, epoch=0, zoom=4.0, mirror=mirror, batch=40, crop=32, seed=1, brightness=False)
        assert np.rint(255 * x.min()) == least and np.rint(255 * x.max()) == 100
        assert x.shape == (40, 1, 32, 32) and set(np.unique(y)) <= {0, 1}


@pytest.mark.parametrize("zoom", [0.5, 0, float("nan")])
def test_no_crop_is_made_smaller(zoom: float) -> None:
    with pytest.raises(
        DataError, match=r"^loader zoom: got .*; must be at least 1, and 1 where images are resized whole"
    ):
        batches(tiny().split("fit"), epoch=0, zoom=zoom, **OPTIONS)
    with pytest.raises(SettingsError, match=r"^recipe.zoom: got .*; must be at least 1"):
        Recipe(zoom=zoom)


def test_whole_images_are_not_magnified() -> None:
    with pytest.raises(DataError, match=r"^loader zoom: got 2"):
        batches(tiny().split("fit"), epoch=0, zoom=2, whole_images=True, **OPTIONS)
    with pytest.raises(SettingsError, match=r"^recipe.zoom: got 2; must be 1 where images are resized whole"):
        Recipe(zoom=2, whole_images=True)
