"""A split judged image by image: by every preset, at several thresholds, and along a curve of detections.

Counts of each image are kept, ratios come at the end. What is kept of an image is a few kilobytes until a block of
images is full, and about a hundred bytes a preset and threshold from then on, so a split may be larger than memory.

Legend: hw = rows, columns; r = thresholds of the curve of detections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnas.metrics.component import Float
from irnas.metrics.rules import PRESETS, Rules
from irnas.metrics.tally import Counts, count_labels
from irnas.metrics.value import Curve, detection_rates, detection_sums, roc, summarize

HALF = 0.5
"""The threshold of every published code, beside which a model's own stands."""
DETECTION_THRESHOLDS = (
    *(0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    *(0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
)
"""Of the curve of detections, ascending: dense at both ends, where a network that was trained well decides."""

_BLOCK = 256
"""Images whose ROC rows are kept apart."""

Metrics = Mapping[str, Mapping[str, float]]
"""Preset to metric to value."""
Row = tuple[str, float]
"""A preset and a threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionCurve:
    """How many targets are found, and at the price of how many false pixels, as the threshold rises."""

    threshold: Float
    """[r], ascending."""
    pd: Float
    """[r] 0..1: detected targets over all."""
    fa: Float
    """[r] 0..1: false-alarm pixels over all pixels that could be."""


class DetectionMeter:
    """Counts detections and false pixels at each of ``DETECTION_THRESHOLDS``, an image at a time."""

    def __init__(self, rules: Rules) -> None:
        """Begin with no image; the threshold of ``rules`` is not looked at."""
        self._rules = [replace(rules, threshold=t) for t in DETECTION_THRESHOLDS]
        self._sums = np.zeros((len(DETECTION_THRESHOLDS), 4), np.int64)
        """``detection_sums`` of all images, by threshold."""

    def add(self, probability_hw: NDArray[Any], label_hw: NDArray[np.uint8]) -> None:
        """Count one image; arguments and errors are those of ``Judge.add``."""
        for sums, rules in zip(self._sums, self._rules, strict=True):
            sums += detection_sums(count_labels(probability_hw, label_hw, rules))

    def curve(self) -> DetectionCurve:
        """The curve of all images so far."""
        rates = [detection_rates(rules, *map(int, sums)) for rules, sums in zip(self._rules, self._sums, strict=True)]
        pd, fa = (np.array(column) for column in zip(*rates, strict=True))
        return DetectionCurve(threshold=np.array(DETECTION_THRESHOLDS), pd=pd, fa=fa)


class _Builder:
    """Joins the counts of images as they come."""

    def __init__(self) -> None:
        self._blocks: list[Counts] = []
        self._rows: list[Counts] = []

    def add(self, counts: Counts) -> None:
        self._rows.append(counts)
        if len(self._rows) == _BLOCK:
            self._blocks.append(Counts.concat(self._rows).pooled())
            self._rows = []

    def counts(self) -> Counts:
        return Counts.concat([*self._blocks, *self._rows])


class Judge:
    """Judges the maps of one network on a split, by all presets at each of some thresholds.

    A preset at a threshold is the preset with its threshold replaced: what a threshold is compared with, and whether a
    score equal to it passes, is the preset's. ``rpcanet``, for one, scales each map by its own maximum first.
    """

    def __init__(self, thresholds: Iterable[float], curve_of: str) -> None:
        """Begin with no image.

        Args:
            thresholds: 0..1; equal ones count once.
            curve_of: the preset by whose rules the curve of detections is counted.
        """
        self.thresholds = tuple(dict.fromkeys(thresholds))
        self._rules = {(p, t): replace(rules, threshold=t) for p, rules in PRESETS.items() for t in self.thresholds}
        # Presets of equal rules are counted once.
        self._builders = {rules: _Builder() for rules in self._rules.values()}
        self._detections = DetectionMeter(PRESETS[curve_of])

    def add(self, probability_hw: NDArray[Any], label_hw: NDArray[np.uint8]) -> dict[Row, Counts]:
        """Count one image.

        Args:
            probability_hw: float in 0..1.
            label_hw: the mask of a data set: 1 is target, 0 background, ``IGNORED`` neither.

        Returns:
            The counts of this image by preset and threshold.

        Raises:
            DataError: as of ``count``.
        """
        rows = {rules: count_labels(probability_hw, label_hw, rules) for rules in self._builders}
        for rules, row in rows.items():
            self._builders[rules].add(row)
        self._detections.add(probability_hw, label_hw)
        return {name: rows[rules] for name, rules in self._rules.items()}

    def metrics(self, threshold: float) -> dict[str, dict[str, float]]:
        """The metrics of all images so far, by preset, at one of the thresholds.

        Raises:
            DataError: there was no image.
        """
        return {preset: summarize(self._counts(preset, threshold)) for preset in PRESETS}

    def curves(self) -> dict[str, Curve]:
        """The ROC curve of each preset, which no threshold changes."""
        return {preset: roc(self._counts(preset, self.thresholds[0])) for preset in PRESETS}

    def detections(self) -> DetectionCurve:
        """The curve of detections."""
        return self._detections.curve()

    def num_targets(self, preset: str) -> int:
        """Targets of all images so far, by the rules of a preset."""
        return int(self._counts(preset, self.thresholds[0]).targets.sum())

    def _counts(self, preset: str, threshold: float) -> Counts:
        return self._builders[self._rules[preset, threshold]].counts()
