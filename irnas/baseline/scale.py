"""What all methods share: their types, and the last step from a response to a score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""[H, W], grey levels 0..255."""
Float = NDArray[Any]
Score = NDArray[np.float32]
"""[H, W], 0..1: more is more like a target. Every map but that of an image without response reaches 1."""

_NOTHING = 1e-6
"""Responses below are rounding; one grey level of contrast gives ten thousand times as much in every method."""


def to_score(response_hw: Float) -> Score:
    """Negative responses to 0, then divided by the greatest one."""
    positive = np.maximum(response_hw, 0)
    highest = positive.max(initial=0.0)
    if highest < _NOTHING:
        return np.zeros(response_hw.shape, np.float32)
    score_hw: Score = (positive / highest).astype(np.float32)
    return score_hw
