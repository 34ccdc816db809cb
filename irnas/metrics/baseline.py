"""Two answers that need no network: what a search must clearly beat."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import DataError
from irnas.metrics.rules import PRESETS, Rules
from irnas.metrics.tally import Counts, count_labels
from irnas.metrics.value import summarize

Pair = tuple[NDArray[np.uint8], NDArray[Any]]
"""image_hw of grey levels 0..255, and mask_hw of the same shape: 1 is target, 0 background, ``IGNORED`` neither."""


def all_background(image_hw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The probability map that finds nothing."""
    return np.zeros(image_hw.shape, dtype=np.float32)


def above(image_hw: NDArray[np.uint8], threshold: int) -> NDArray[np.float32]:
    """The probability map that is 1 where the image is brighter than ``threshold``, and 0 elsewhere."""
    return (image_hw > threshold).astype(np.float32)


def global_threshold(train: Iterable[Pair]) -> int:
    """The grey level, 0..255, above which pixels are predicted for the greatest IoU pooled over the images.

    Exact: from two histograms of grey levels. Among equal thresholds the highest is taken, so images without targets
    give 255, above which nothing is predicted.

    Raises:
        DataError: no images, an image that is not uint8 [H, W], or a mask of another shape.
    """
    target, background = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    images = 0
    for image_hw, mask_hw in train:
        if image_hw.dtype != np.uint8 or image_hw.ndim != 2 or mask_hw.shape != image_hw.shape:
            raise DataError(
                f"global threshold: got image {images} of {image_hw.dtype} {image_hw.shape} with a mask of shape "
                f"{mask_hw.shape}; must be uint8 [H, W] and equal"
            )
        target += np.bincount(image_hw[mask_hw == 1], minlength=256)
        background += np.bincount(image_hw[mask_hw == 0], minlength=256)
        images += 1
    if not images:
        raise DataError("global threshold: got no images; must be one or more")
    hits, alarms = ((h.sum() - np.cumsum(h)).tolist() for h in (target, background))
    size = int(target.sum())
    return max(range(256), key=lambda level: (Fraction(hits[level], max(size + alarms[level], 1)), level))


def score_baselines(
    train: Iterable[Pair], validation: Iterable[Pair], rules: Rules = PRESETS["basicirstd"]
) -> dict[str, dict[str, float]]:
    """The metrics on ``validation`` of ``all_background``, and of ``global_threshold`` as chosen on ``train``.

    Raises:
        DataError: no images in one of the two, or shapes that do not fit.
    """
    threshold = global_threshold(train)
    counts: dict[str, list[Counts]] = {"all_background": [], "global_threshold": []}
    for image_hw, mask_hw in validation:
        counts["all_background"].append(count_labels(all_background(image_hw), mask_hw, rules))
        counts["global_threshold"].append(count_labels(above(image_hw, threshold), mask_hw, rules))
    return {name: summarize(Counts.concat(rows)) for name, rows in counts.items()}
