"""Two filters that estimate the background and subtract it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from irnas.baseline.scale import Float, Image, Score, to_score

_OPENING = 2
_LINE = 7


def top_hat(image_hw: Image) -> Score:
    """White top-hat: what an opening with a flat 5x5 square takes away.

    Reference: Zeng, Li, Peng, The design of Top-Hat morphological filter and application to infrared target detection,
    Infrared Physics & Technology 48, 2006.
    """
    f_hw = image_hw.astype(np.float64)
    opened = ndimage.grey_opening(f_hw, size=(2 * _OPENING + 1,) * 2, mode="nearest")
    return to_score(f_hw - opened)


def max_median(image_hw: Image) -> Score:
    """Above the greatest of four medians, along lines of 15 pixels in 0, 45, 90 and 135 degrees.

    Reference: Deshpande, Er, Venkateswarlu, Chan, Max-mean and max-median filters for detection of small targets,
    Proc. SPIE 3809, 1999.
    """
    height, width = image_hw.shape
    around = np.pad(image_hw, _LINE, mode="edge")
    background = np.zeros((height, width), np.float64)
    for rows, columns in ((0, 1), (1, 1), (1, 0), (1, -1)):
        line = [around[_LINE + k * rows :, _LINE + k * columns :][:height, :width] for k in range(-_LINE, _LINE + 1)]
        median: Float = np.partition(np.stack(line), _LINE, axis=0)[_LINE]
        background = np.maximum(background, median)
    return to_score(image_hw - background)
