"""From a score map to targets: thresholds that follow each map by a rule, fixed before any image is seen.

Published tables divide each map by its maximum and cut at one half. A cut at so many deviations above the mean of the
map finds more and is as simple; ten is the default here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from irnas.baseline.scale import Score
from irnas.core.errors import SettingsError

DEFAULT = "10sigma"
CHOSEN = "fit"
"""The rule's name that leaves the number of deviations to the split ``fit``."""
CHOICES = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40)
"""Numbers of deviations to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A rule: mean + ``amount`` deviations of the map (sigma), or ``amount`` times its maximum (max)."""

    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"

    def of(self, score_hw: Score) -> float:
        """The score above which a pixel of this map is a target."""
        if self.unit == "max":
            return self.amount * float(score_hw.max())
        values = score_hw.astype(np.float64)
        return float(values.mean() + self.amount * values.std())

    def probability(self, score_hw: Score) -> Score:
        """The map stretched so that exactly the pixels above the threshold exceed one half; order is kept."""
        cut = self.of(score_hw)
        values = score_hw.astype(np.float64)
        above = np.maximum(0.5 + 0.5 * (values - cut) / max(1 - cut, 1e-12), np.nextafter(np.float32(0.5), 1.0))
        below = 0.5 * values / cut if cut > 0 else np.zeros_like(values)
        probability: Score = np.where(values > cut, above, below).clip(0, 1).astype(np.float32)
        return probability


def parse(text: str) -> Threshold | None:
    """``10sigma``, ``0.5max``, or None for ``fit``.

    Raises:
        SettingsError: anything else, or an amount outside 0..1000 deviations or 0..1 of the maximum.
    """
    if text == CHOSEN:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(sigma|max)", text)
    if match is None or float(match[1]) > {"sigma": 1000, "max": 1}[match[2]]:
        raise SettingsError(f"--threshold: got {text!r}; must be like 10sigma or 0.5max (at most 1max), or fit")
    return Threshold(amount=float(match[1]), unit=match[2])
