"""Local contrast is the difference of a pixel and the mean of the pixels around it that lie in the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from irnas import cost, models
from irnas.core import catalog
from irnas.nn import traits
from irnas.nn.contrast import GAIN, SIDES, LocalContrast

CONTRASTED = {"stem_k": 1, "contrast": 4, "base": 4, "stages": 2}


def naive(x_hw: np.ndarray, side: int) -> np.ndarray:
    """The same, pixel by pixel in float64."""
    reach, out = side // 2, np.empty(x_hw.shape)
    for i, j in np.ndindex(*x_hw.shape):
        around = x_hw[max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
        out[i, j] = GAIN * (x_hw[i, j] - around.astype(np.float64).mean())
    return out


@pytest.mark.parametrize("is_training", [False, True])
def test_contrast_is_that_of_the_pixels_inside(is_training: bool) -> None:
    """By the plain way, and by the quick one of trainings."""
    x_hw = np.random.default_rng(0).random((60, 30), dtype=np.float32)
    y_nchw = LocalContrast(4).train(is_training)(torch.from_numpy(x_hw)[None, None])
    assert y_nchw.shape == (1, 4, 60, 30)
    for y_hw, side in zip(y_nchw[0].numpy(), SIDES, strict=True):
        np.testing.assert_allclose(y_hw, naive(x_hw, side), atol=2e-6)


def test_an_even_image_has_no_contrast() -> None:
    assert LocalContrast(2)(torch.full((1, 1, 8, 8), 0.7)).abs().max() < 1e-6


def test_brightness_of_the_scene_changes_no_logit() -> None:
    torch.manual_seed(0)
    network = models.build(catalog.load("biisnet").complete(CONTRASTED)).double().eval()
    x_nchw = torch.rand(1, 1, 64, 64, dtype=torch.float64) / 2
    torch.testing.assert_close(network(x_nchw + 0.25), network(x_nchw))


def test_the_halo_holds_the_widest_square() -> None:
    plain, contrasted = (
        traits.halo(models.build(catalog.load("biisnet").complete({**CONTRASTED, "contrast": scales})))
        for scales in (0, 4)
    )
    assert plain is not None and contrasted == plain + 23


def test_contrast_is_elementwise_work_and_the_stem_sees_its_channels() -> None:
    plain, contrasted = (
        cost.price(catalog.load("biisnet").complete({**CONTRASTED, "contrast": scales}), (1, 64, 64))
        for scales in (1, 4)
    )
    assert contrasted["elementwise"] - plain["elementwise"] == 3 * 7 * 64 * 64
    assert contrasted["ops"] - plain["ops"] == 3 * 2 * 4 * 64 * 64
    assert contrasted["params"] - plain["params"] == 3 * 4


def test_points_with_the_paper_s_stem_know_no_contrast() -> None:
    assert "contrast" not in catalog.find_point("biisnet", "LIT10").values
    assert catalog.load("biisnet").complete({"bn": True}).key == "84ca3d935161"
