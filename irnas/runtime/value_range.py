"""Counts, which are values of more than 8 bits, as the 0..255 of a network: one rule (FORMAT.md, section 8).

Import, ``irnas run``, ``xnor-run`` and the Python face share it, so all of them see the numbers that training saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError, SettingsError

Counts = npt.NDArray[Any]
"""Numbers of any type."""
Bytes = npt.NDArray[np.uint8]

PERCENTILES = (0.01, 99.99)
"""Where the range of a set of frames begins and ends, in percent of its pixels."""
COUNT_MOST = 2.0**53
"""The largest magnitude of an end of a range."""
FEW_LEVELS = 100
_BINS = 65536
_RANKS = 4096
"""What is kept of a frame whose values are not whole numbers of 16 bits: this many of its values in order."""
_REACH = 3
"""A target stretches the range by at most so many of its widths."""


class Levels(NamedTuple):
    """What the middle 90 % of the pixels of a set span."""

    levels: int
    """Of the 256."""
    counts: float
    """Counts, before."""

    @property
    def are_few(self) -> bool:
        """Whether fewer than 100 levels are left of more counts."""
        return self.levels < min(FEW_LEVELS, self.counts)


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The counts that become 0 and 255; what lies beyond them becomes 0 or 255 too.

    Raises:
        SettingsError: the ends are not two ascending numbers of a magnitude of at most 2^53.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (-COUNT_MOST <= self.low < self.high <= COUNT_MOST):
            raise SettingsError(f"range: got {self}; must be LOW,HIGH, two ascending numbers")

    def __str__(self) -> str:
        return f"{self.low:.10g}..{self.high:.10g}"

    def map(self, counts: Counts) -> Bytes:
        """Turn counts of any shape into uint8: rint((count - low) * 255 / (high - low)) in float64, cut to 0..255.

        Raises:
            DataError: a count that is not finite.
        """
        values = np.asarray(counts, np.float64)
        if not np.isfinite(values).all():
            raise DataError("image: got values that are not finite; must be numbers")
        levels = (values - self.low) * 255.0 / (self.high - self.low)
        return np.asarray(np.rint(np.clip(levels, 0.0, 255.0)), np.uint8)


@dataclass(frozen=True, slots=True)
class RangeChoice:
    """What ``--range`` asks for: a fixed range, or percentiles at which a range is measured."""

    fixed: ValueRange | None = None
    percentiles: tuple[float, float] = PERCENTILES
    are_percentiles_chosen: bool = False
    """Whether the user named the percentiles: then they go before a range that a model holds."""


def parse_choice(text: str | None) -> RangeChoice:
    """Read ``LOW,HIGH`` as a fixed range and ``P%,Q%`` as percentiles; None asks for the default percentiles.

    Raises:
        SettingsError: the text is neither.
    """
    if text is None:
        return RangeChoice()
    wrong = SettingsError(f"--range: got {text!r}; must be LOW,HIGH in ascending counts, or percentiles P%,Q%")
    parts = [part.strip() for part in text.split(",")]
    are_percentiles = all(part.endswith("%") for part in parts)
    try:
        low, high = (float(part.removesuffix("%") if are_percentiles else part) for part in parts)
    except ValueError:
        raise wrong from None
    if are_percentiles:
        if not 0 <= low < high <= 100:
            raise wrong
        return RangeChoice(percentiles=(low, high), are_percentiles_chosen=True)
    if not (-COUNT_MOST <= low < high <= COUNT_MOST):
        raise wrong
    return RangeChoice(fixed=ValueRange(low, high))


class RangeMeter:
    """Measures the range of a set of frames, one frame after the other.

    Defect pixels do not count. Where masks say what the targets are, the range reaches as far as these. Frames of 8
    bits in files of 16 keep their values, and so do 8 bits times 257.
    """

    def __init__(self, percentiles: tuple[float, float] = PERCENTILES) -> None:
        self._percentiles = percentiles
        self._histogram = np.zeros(_BINS, np.int64)
        self._values: list[Counts] = []
        self._weights: list[npt.NDArray[np.float64]] = []
        self._ends, self._target_ends = (math.inf, -math.inf), (math.inf, -math.inf)
        self._are_times_257 = self._are_16_bit = True

    @property
    def is_empty(self) -> bool:
        """Whether no frame has been added."""
        return self._ends[0] > self._ends[1]

    def add(self, frame_hw: Counts, mask_hw: npt.NDArray[Any] | None = None) -> None:
        """Add a frame [H, W] and, where it is known, its mask, 1 on targets.

        Raises:
            DataError: a value that is not finite.
        """
        if not np.isfinite(frame_hw).all():
            raise DataError("image: got values that are not finite; must be numbers")
        frame_hw = frame_hw.astype(frame_hw.dtype.newbyteorder("="), copy=False)
        is_defect_hw = find_defects(frame_hw)
        if mask_hw is not None and np.any(mask_hw == 1):
            is_defect_hw &= mask_hw != 1
            self._target_ends = _widen(self._target_ends, frame_hw[mask_hw == 1])
        self._ends = _widen(self._ends, frame_hw)
        is_16_bit = bool(frame_hw.min() >= 0 and frame_hw.max() < _BINS and not np.any(frame_hw % 1))
        self._are_16_bit &= is_16_bit
        self._are_times_257 &= is_16_bit and not np.any(frame_hw % 257)
        values = frame_hw[~is_defect_hw]
        if is_16_bit:
            self._histogram += np.bincount(values.astype(np.int64), minlength=_BINS)
            return
        ranks = np.unique(np.linspace(0, values.size - 1, min(_RANKS, values.size)).round().astype(np.int64))
        self._values.append(np.sort(values.astype(np.float64))[ranks])
        self._weights.append(np.full(ranks.size, values.size / ranks.size))

    def measure(self) -> ValueRange:
        """The range of all frames so far.

        Raises:
            DataError: there is no frame.
        """
        if self.is_empty:
            raise DataError("range: got no frame; must have at least one")
        least, most = self._ends
        if self._are_16_bit and most <= 255:
            return ValueRange(0.0, 255.0)
        if self._are_times_257:
            return ValueRange(0.0, 65535.0)
        low, high = self._quantiles(*self._percentiles)
        reach = _REACH * (high - low)
        low = max(min(low, self._target_ends[0]), low - reach)
        high = min(max(high, self._target_ends[1]), high + reach)
        if low == high:
            low, high = least, most
        return ValueRange(low, high if high > low else low + 1)

    def count_levels(self, value_range: ValueRange) -> Levels:
        """How many levels of a range the middle 90 % of the pixels span, and how many counts they did."""
        ends = self._quantiles(5.0, 95.0)
        first, last = (int(level) for level in value_range.map(np.asarray(ends)))
        step = 257 if self._are_times_257 else 1
        return Levels(last - first + 1, (ends[1] - ends[0]) / step + 1 if self._are_16_bit else math.inf)

    def _quantiles(self, first: float, last: float) -> tuple[float, float]:
        """The values at two percentiles: those with floor(N * first / 100) below, and so many from the top above."""
        bins = np.flatnonzero(self._histogram)
        values = np.concatenate([bins.astype(np.float64), *self._values])
        weights = np.concatenate([self._histogram[bins].astype(np.float64), *self._weights])
        order = np.argsort(values, kind="stable")
        values, sums = values[order], np.cumsum(weights[order])
        num = sums[-1]
        below, above = math.floor(num * first / 100.0), math.floor(num * (100.0 - last) / 100.0)
        at_low = int(np.searchsorted(sums, min(below, num - 1), side="right"))
        at_high = int(np.searchsorted(sums, max(num - 1 - above, 0), side="right"))
        return float(values[min(at_low, len(values) - 1)]), float(values[min(at_high, len(values) - 1)])


def find_defects(frame_hw: Counts) -> npt.NDArray[np.bool_]:
    """Find the pixels of a frame [H, W] that are alone far out, and so say nothing of the scene.

    They lie outside of the frame's 5th to 95th percentile, and are farther from the median of the 3x3 pixels around
    them than twice these percentiles are apart. Beyond an edge stands the pixel at the edge.
    """
    height, width = frame_hw.shape
    ordered = np.partition(frame_hw.ravel(), (cut := frame_hw.size // 20, frame_hw.size - 1 - cut))
    low, high = ordered[cut].item(), ordered[frame_hw.size - 1 - cut].item()
    is_defect_hw = (frame_hw < low) | (frame_hw > high)
    rows, columns = np.nonzero(is_defect_hw)
    padded = np.pad(frame_hw, 1, mode="edge")
    around = np.stack([padded[rows + y, columns + x] for y in range(3) for x in range(3)]).astype(np.float64)
    medians = np.partition(around, 4, axis=0)[4]
    is_defect_hw[rows, columns] = np.abs(frame_hw[rows, columns].astype(np.float64) - medians) > 2 * (high - low)
    return np.asarray(is_defect_hw.reshape(height, width))


def measure_range(frames: Counts, percentiles: tuple[float, float] = PERCENTILES) -> ValueRange:
    """Measure the range of frames [..., H, W], which are one set."""
    meter = RangeMeter(percentiles)
    for frame_hw in frames.reshape(-1, *frames.shape[-2:]):
        meter.add(frame_hw)
    return meter.measure()


def map_counts(images: Counts, own: ValueRange | None, chosen: ValueRange | None = None) -> Counts:
    """Turn counts into 8 bits as training did, by the first range that is known (FORMAT.md, section 8).

    Args:
        images: uint16 [..., H, W]; images of another type stay as they are.
        own: the range that the model holds.
        chosen: a range that goes before it. Without either it is that of these images, which are one set.
    """
    if images.dtype != np.uint16:
        return images
    return (chosen or own or measure_range(images)).map(images)


def _widen(ends: tuple[float, float], values: Counts) -> tuple[float, float]:
    return min(ends[0], float(values.min())), max(ends[1], float(values.max()))
