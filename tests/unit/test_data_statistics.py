"""Figures of targets, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from irnas.data.statistics import describe, measure


def _checkered() -> np.ndarray:
    """Grey levels 90 and 110 in turn: mean 100, sigma 10 on any even patch."""
    return np.where(np.indices((80, 80)).sum(0) % 2, 110, 90).astype(np.uint8)


def test_a_target_is_measured_against_its_own_surroundings() -> None:
    image, mask = _checkered(), np.zeros((80, 80), dtype=np.uint8)
    mask[40:42, 40:44] = 1
    image[40:42, 40:44] = 150
    # Beyond the margin of 20 pixels nothing counts, and neither do other targets.
    image[:18] = 255
    mask[50, 50] = 1
    image[50, 50] = 250
    first, second = measure(image, mask)
    assert (first.area, first.aspect, first.contrast) == (8, 2.0, pytest.approx(50, abs=0.02))
    assert first.sigma == pytest.approx(10, abs=0.01)
    assert first.scr == pytest.approx(5, abs=0.01)
    assert (second.area, second.contrast) == (1, pytest.approx(150, abs=0.02))


def test_diagonal_pixels_are_one_target_dark_ones_too() -> None:
    image, mask = _checkered(), np.zeros((80, 80), dtype=np.uint8)
    for k in range(3):
        mask[30 + k, 30 + k] = 1
        image[30 + k, 30 + k] = 50
    (target,) = measure(image, mask)
    assert (target.area, target.aspect) == (3, 1.0)
    assert target.contrast == pytest.approx(-50, abs=0.1)
    assert target.scr == pytest.approx(5, abs=0.02)


def test_an_infinite_scr_is_left_out_of_percentiles() -> None:
    image, mask = np.full((30, 30), 100, dtype=np.uint8), np.zeros((30, 30), dtype=np.uint8)
    mask[5, 5] = 1
    assert measure(image, mask)[0].scr == float("inf")
    assert describe([(image, mask)])["scr"] == {}


def test_a_set_is_described_image_by_image() -> None:
    image, mask = _checkered(), np.zeros((80, 80), dtype=np.uint8)
    one = mask.copy()
    one[3:5, 3:6] = 1
    figures = describe([(image, mask), (image, one), (image[:40] // 2, mask[:40])])
    assert (figures["images"], figures["targets"], figures["empty"], figures["sizes"]) == (3, 1, 2, 2)
    assert (figures["height"], figures["width"]) == ([40, 80, 80], [80, 80, 80])
    assert figures["targets_per_image"] == {"0": 2, "1": 1}
    assert figures["mean"] == pytest.approx((100 + 100 + 50) / 3)
    assert figures["std"] == pytest.approx((10 + 10 + 5) / 3)
    assert figures["area"] == {"5": 6, "25": 6, "50": 6, "75": 6, "95": 6}
