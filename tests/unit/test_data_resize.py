"""Whole images instead of crops: resized as published loaders do it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.datasets import tiny

from irnas.data.loader import batches
from irnas.data.resize import resize_image, resize_mask


@pytest.mark.parametrize("shape", [(48, 48), (37, 61), (16, 16), (9, 90), (1, 5)])
def test_an_image_is_resized_as_torch_does_it(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None, None].double(), (16, 16), mode="bilinear", align_corners=False
    )
    resized = resize_image(image, 16)
    assert resized.dtype == np.uint8 and np.abs(resized - wanted[0, 0].numpy()).max() <= 0.51


def test_a_mask_keeps_its_values() -> None:
    mask = np.array([[0, 1], [2, 0]], np.uint8)
    assert (resize_mask(mask, 4) == np.kron(mask, np.ones((2, 2), np.uint8))).all()
    assert (resize_mask(resize_mask(mask, 6), 2) == mask).all()


def test_whole_images_hold_all_of_an_image() -> None:
    split = tiny().split("fit")
    options = {"batch": 1, "crop": 32, "seed": 0, "epoch": 0, "flips": False, "brightness": False}
    made = {np.rint(255 * x).astype(np.uint8).tobytes(): y for x, y in batches(split, whole_images=True, **options)}
    assert len(made) == len(split)
    for i in range(len(split)):
        assert (made[resize_image(split.image(i), 32).tobytes()][0, 0] == resize_mask(split.mask(i), 32)).all()
