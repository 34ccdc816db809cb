"""Copy-paste of targets: a target of one image, laid into a target-free place of another.

Target augmentation adds what a small training set lacks most: targets on other backgrounds. What is laid in is the
contrast of the target to its surroundings, faded out at its edge, and scaled by the clutter of the two places so that
the signal-to-clutter ratio |mean of target - mean of background| / deviation of background stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from irnas.data.dataset import Split
from irnas.data.sample import Bytes

REACH = 24
"""A target that reaches so many pixels from the pixel it was found by is too large to be pasted."""
MARGIN = 4
"""Pixels around a target that count as its surroundings."""
TRIES = 8
"""Places that are looked at for each target, before it is left out."""
LEAST, MOST = 0.5, 2.0
"""Bounds of the scale of a contrast: a target on a sky must not outshine a city, nor vanish on a lake."""
_FADE = 0.7
"""Deviation in pixels of the blur of a target's edge."""
_CALM = 1.0
"""Least deviation that a background is given, in grey levels: some skies have none."""

Floats = npt.NDArray[np.float32]
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target with what surrounds it."""

    contrast: Floats
    """[h, w]: grey levels above the mean of the surroundings, faded to 0 at the edge."""
    mask: npt.NDArray[np.bool_]
    """[h, w]."""
    clutter: float
    """Deviation of the surroundings, in grey levels."""


def cut_target(split: Split, i: int, draw: float) -> Target | None:
    """The target of image ``i`` to which one of its target pixels belongs.

    None without a target, and for one that is too large, that the border of the image may cut off, or whose
    surroundings are mostly other targets and pixels that nobody cares about.

    Args:
        split: where to look.
        i: the image.
        draw: names the pixel; in 0..1.
    """
    pixels = split.pixels(i)
    if not len(pixels):
        return None
    height, width = split.shape(i)
    y, x = divmod(int(pixels[int(draw * len(pixels))]), width)
    top, left = max(y - REACH, 0), max(x - REACH, 0)
    window = slice(top, min(y + REACH + 1, height)), slice(left, min(x + REACH + 1, width))
    marked = split.mask(i)[window]
    labels, _ = ndimage.label(marked == 1, structure=np.ones((3, 3)))
    mine = labels == labels[y - top, x - left]
    if mine[[0, -1]].any() or mine[:, [0, -1]].any():
        return None
    rows, columns = (np.flatnonzero(mine.any(axis)) for axis in (1, 0))
    box = (
        slice(max(rows[0] - MARGIN, 0), rows[-1] + MARGIN + 1),
        slice(max(columns[0] - MARGIN, 0), columns[-1] + MARGIN + 1),
    )
    image, mask = split.image(i)[window][box].astype(np.float32), mine[box]
    around = ~ndimage.binary_dilation(marked[box] > 0)
    if around.sum() < MARGIN * MARGIN:
        return None
    fade = ndimage.gaussian_filter(ndimage.binary_dilation(mask).astype(np.float32), _FADE)
    contrast = (image - image[around].mean()) * np.maximum(fade, mask)
    return Target(contrast=contrast, mask=mask, clutter=max(float(image[around].std()), _CALM))


def paste_target(target: Target, image: Bytes, mask: Bytes, rng: np.random.Generator) -> bool:
    """Lay a target into an image where nothing but background is; whether there was such a place.

    Args:
        target: any turn of it, drawn from ``rng``, is laid in.
        image: uint8 [H, W], changed in place.
        mask: uint8 [H, W] of 0, 1 and 2, changed in place.
        rng: draws the place and the turn.
    """
    way = int(rng.integers(8))
    contrast, shape = _flip_or_rotate(target.contrast, way), _flip_or_rotate(target.mask, way)
    height, width = shape.shape
    if height > image.shape[0] or width > image.shape[1]:
        return False
    for _ in range(TRIES):
        top = int(rng.integers(image.shape[0] - height + 1))
        left = int(rng.integers(image.shape[1] - width + 1))
        place = slice(top, top + height), slice(left, left + width)
        if mask[place].any():
            continue
        background = image[place].astype(np.float32)
        scale = min(max(max(float(background.std()), _CALM) / target.clutter, LEAST), MOST)
        image[place] = np.clip(np.rint(background + scale * contrast), 0, 255).astype(np.uint8)
        mask[place][shape] = 1
        return True
    return False


def _flip_or_rotate(array: npt.NDArray[_T], way: int) -> npt.NDArray[_T]:
    """One of the 8 flips and rotations."""
    array = array.T if way & 4 else array
    return array[:: -1 if way & 2 else 1, :: -1 if way & 1 else 1]
