"""Images and masks brought to the side of a square, as loaders that train on whole images do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from irnas.data.sample import Bytes

_Floats = npt.NDArray[np.float32]


def resize_image(image: Bytes, side: int) -> Bytes:
    """An image [H, W] as [side, side], whatever its shape: bilinear between pixel centres, nothing smoothed before.

    It is what OpenCV calls linear, and torch bilinear without antialias.
    """
    if image.shape == (side, side):
        return image
    (top, bottom, below), (left, right, beside) = (_neighbours(length, side) for length in image.shape)
    between = image[top] * (1 - below)[:, None] + image[bottom] * below[:, None]
    both = between[:, left] * (1 - beside) + between[:, right] * beside
    return np.rint(both).astype(np.uint8)


def resize_mask(mask: Bytes, side: int) -> Bytes:
    """A mask [H, W] as [side, side]: each pixel takes the value of the one that its centre falls on."""
    rows, columns = ((np.arange(side) * 2 + 1) * length // (2 * side) for length in mask.shape)
    resized: Bytes = mask[rows[:, None], columns]
    return resized


def _neighbours(length: int, side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], _Floats]:
    """For each new pixel of a line: the old ones before and after it, and the weight of the latter."""
    place = np.clip((np.arange(side) + 0.5) * (length / side) - 0.5, 0, length - 1)
    before = np.floor(place).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (place - before).astype(np.float32)
