"""The probability that a target must exceed, as part of a model: where the intersection over union is greatest.

A threshold is chosen on images that the network was not trained on, and never on those it is tested on. Few candidates
are tried: a fine grid would fit the noise of a few dozen validation images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnas.metrics.rules import EPSILON

_STEPS = 24

CANDIDATES: tuple[float, ...] = tuple(round(1 / (1 + math.exp(-step / 4)), 4) for step in range(-_STEPS, _STEPS + 1))
"""The thresholds that are tried, ascending: the probabilities of the logits -6, -5.75, ... 6, to four decimals. The one
in the middle is 0.5. Even steps of the logit are as fine near 0 and 1, where trained networks differ, as between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdChoice:
    """A threshold and what it is worth on the images that chose it."""

    threshold: float
    """One of ``CANDIDATES``."""
    miou: float
    """Intersection over union of target pixels, pooled over all images, at the threshold; a fraction."""
    miou_at_half: float
    """The same at 0.5."""


class ThresholdMeter:
    """Counts the target pixels of maps at every candidate; its memory does not grow with the images."""

    def __init__(self) -> None:
        # Pixels by how many candidates they exceed.
        self._targets = np.zeros(len(CANDIDATES) + 1, np.int64)
        self._background = np.zeros(len(CANDIDATES) + 1, np.int64)

    def add(self, probability_hw: NDArray[Any], label_hw: NDArray[np.uint8]) -> None:
        """Count one image.

        Args:
            probability_hw: float in 0..1; compared in its own precision.
            label_hw: the mask of a data set: 1 is target, 0 background, ``irnas.metrics.IGNORED`` neither.
        """
        ladder = np.array(CANDIDATES, probability_hw.dtype)
        for counts, value in ((self._targets, 1), (self._background, 0)):
            num_exceeded = np.searchsorted(ladder, probability_hw[label_hw == value], side="left")
            counts += np.bincount(num_exceeded, minlength=len(counts))

    def choose(self) -> ThresholdChoice:
        """The candidate of the greatest intersection over union; among equals the one nearest to 0.5.

        Without a target pixel, or where no candidate finds one, it is 0.5.
        """
        hits, false_alarms = (_num_above(counts) for counts in (self._targets, self._background))
        miou = hits / (int(self._targets.sum()) + false_alarms + EPSILON)
        ranked = sorted(range(len(CANDIDATES)), key=lambda index: (-miou[index], abs(index - _STEPS)))
        return ThresholdChoice(
            threshold=CANDIDATES[ranked[0]], miou=float(miou[ranked[0]]), miou_at_half=float(miou[_STEPS])
        )


def _num_above(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many pixels exceed each candidate, from how many exceed just so many candidates."""
    above: NDArray[np.int64] = counts[::-1].cumsum()[::-1][1:]
    return above
