"""Counts of one image, and of many.

Legend: hw = rows, columns; n = images; r = thresholds of a ROC curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import DataError
from irnas.metrics.component import Bool, Components, Float, Int, Score, best_score, far_from, find, match
from irnas.metrics.hierarchy import pair
from irnas.metrics.rules import PRESETS, Rules

_LADDERS: dict[str, Float] = {
    "levels": np.arange(1, 256) / 255,
    "pixel": np.arange(11) / 10,
    # Below every score: a sigmoid is never 0, so in those codes every pixel passes the threshold 0.
    "sigmoid": np.concatenate([[-1.0], np.arange(1, 11) / 10]),
    "target": np.arange(201) / 200,
    # The list in DTUM's train.py.
    "shooting": np.concatenate(
        [
            [0, 1e-30],
            [float(f"1e-{k}") for k in range(20, 1, -1)],
            [0.1],
            np.arange(3, 20) / 20,
            [0.975, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 0.999999, 0.9999999, 1],
        ]
    ),
}
_STRICT_LADDERS = ("pixel", "sigmoid")

IGNORED = 2
"""In a mask of a data set: a pixel that is neither target nor background."""


def thresholds(rules: Rules) -> Float:
    """The ascending thresholds of the ROC curve of these rules."""
    return _LADDERS[rules.roc]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was counted, one row per image. Rows do not depend on each other, so batches may be joined in any way."""

    rules: Rules
    tp: Int
    """[n] predicted pixels whose truth is 1."""
    fp: Int
    """[n] predicted pixels whose truth is below 1."""
    fn: Int
    """[n] pixels of truth 1 that are not predicted."""
    grey: Int
    """[n] pixels of truth 0.5 or more, but below 1."""
    targets: Int
    """[n] targets; 0 for a skipped image."""
    hits: Int
    """[n] detected targets."""
    false_alarm_pixels: Int
    """[n] false-alarm pixels; 0 for a skipped image."""
    false_alarm_area: Int
    """[n] pixels that could be false alarms: all, or the background, or none for a skipped image."""
    pixels: Int
    """[n] pixels of the image as counted."""
    pairs: Int
    """[n] targets that OPDC matching pairs with a blob; 0 for a skipped image."""
    overlap: Float
    """[n] sum of the IoU of these pairs."""
    objects: Int
    """[n] pairs, targets without a blob and blobs without a target (``hierarchy.Pairing``); 0 for a skipped image."""
    roc_true: Int
    """[n, 1 + r] targets (or target pixels): all of them, then those that pass each threshold. Fewer rows of the same
    sums where they are ``pooled``."""
    roc_false: Int
    """[n, 1 + r] background pixels: all of them, then those that pass each threshold. Rows as of ``roc_true``."""

    def __len__(self) -> int:
        return len(self.tp)

    @classmethod
    def concat(cls, parts: Sequence[Counts]) -> Counts:
        """The images of all parts, in order.

        Raises:
            DataError: no parts, or parts counted by different rules.
        """
        if not parts:
            raise DataError("counts: got no images; must be one or more")
        if any(part.rules != parts[0].rules for part in parts):
            raise DataError("counts: got images counted by different rules; must be the same")
        names = [f.name for f in fields(cls) if f.name != "rules"]
        return cls(rules=parts[0].rules, **{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def pooled(self) -> Counts:
        """The same counts with one ROC row, the sum of all: whatever ratio needs, in a hundred bytes an image."""
        return replace(
            self,
            roc_true=self.roc_true.sum(axis=0, keepdims=True),
            roc_false=self.roc_false.sum(axis=0, keepdims=True),
        )


def count(
    probability_hw: NDArray[Any],
    truth_hw: NDArray[Any],
    rules: Rules = PRESETS["basicirstd"],
    *,
    ignored_hw: Bool | None = None,
) -> Counts:
    """Count one image.

    Args:
        probability_hw: float, 0..1: a sigmoid, or an 8-bit map divided by 255. float32 and float64 maps are compared
            with thresholds in their own precision.
        truth_hw: bool; or float 0..1, where 1 is target and anything between is grey; or integers, where a largest
            value of 0 or 1 means that the mask holds 0 and 1, and anything above that it holds 0..255.
        rules: how to count.
        ignored_hw: pixels that nobody cares about: neither target nor background, and never predicted.

    Returns:
        Counts with one row.

    Raises:
        DataError: not two images of one shape with at least one pixel, or values outside their range (NaN is outside).
    """
    score_hw = _checked(probability_hw, truth_hw)
    full_hw, grey_hw = _truth(truth_hw)
    if ignored_hw is not None and ignored_hw.any():
        return _count_cared(score_hw, full_hw & ~ignored_hw, grey_hw & ~ignored_hw, ~ignored_hw, rules)
    return _count_cared(score_hw, full_hw, grey_hw, None, rules)


def count_labels(
    probability_hw: NDArray[Any], label_hw: NDArray[np.uint8], rules: Rules = PRESETS["basicirstd"]
) -> Counts:
    """``count`` against a mask of a data set: 1 is target, ``IGNORED`` nobody cares about, 0 is background.

    Raises:
        DataError: as of ``count``.
    """
    return count(probability_hw, label_hw == 1, rules, ignored_hw=label_hw == IGNORED)


def _count_cared(score_hw: Score, full_hw: Bool, grey_hw: Bool, cared_hw: Bool | None, rules: Rules) -> Counts:
    """Count the pixels of ``cared_hw``; all of them where that is None."""
    if rules.size is not None:
        score_hw, full_hw, grey_hw = (_resampled(x, rules.size) for x in (score_hw, full_hw, grey_hw))
        cared_hw = None if cared_hw is None else _resampled(cared_hw, rules.size)
    if cared_hw is not None:
        score_hw = np.where(cared_hw, score_hw, score_hw.dtype.type(0))
    targets = find(full_hw, rules.connectivity)
    row = _pixels(score_hw, full_hw, grey_hw, rules)
    if rules.empty == "count" or len(targets):
        row |= _detection(score_hw, full_hw, targets, rules)
        roc_true, roc_false = _roc_rows(score_hw, full_hw, targets, cared_hw, rules)
    else:
        row |= dict.fromkeys(("targets", "hits", "false_alarm_pixels", "false_alarm_area", "pairs", "objects"), 0)
        row["overlap"] = 0.0
        roc_true = roc_false = np.zeros(len(thresholds(rules)) + 1, np.int64)
    if cared_hw is not None:
        num_ignored = cared_hw.size - _num(cared_hw)
        row["pixels"] -= num_ignored
        row["false_alarm_area"] -= num_ignored if row["false_alarm_area"] else 0
    columns = {name: np.array([value]) for name, value in row.items()}
    return Counts(rules=rules, roc_true=roc_true[None], roc_false=roc_false[None], **columns)


def _checked(probability_hw: NDArray[Any], truth_hw: NDArray[Any]) -> Score:
    """The map as float32 or float64."""
    if probability_hw.ndim != 2 or probability_hw.shape != truth_hw.shape or not probability_hw.size:
        raise DataError(
            f"count: got a map of shape {probability_hw.shape} and a truth of shape {truth_hw.shape}; "
            "must be equal and [H, W] with H, W >= 1"
        )
    if not np.issubdtype(probability_hw.dtype, np.floating):
        raise DataError(f"count: got a map of {probability_hw.dtype}; must be float in 0..1")
    score_hw = probability_hw if probability_hw.dtype == np.float64 else probability_hw.astype(np.float32, copy=False)
    lowest, highest = score_hw.min(), score_hw.max()
    if not (lowest >= 0 and highest <= 1):
        raise DataError(f"count: got a map with values {lowest}..{highest}; must be in 0..1")
    return score_hw


def _truth(truth_hw: NDArray[Any]) -> tuple[Bool, Bool]:
    """Where the truth is 1, and where it is grey from 0.5 on."""
    if truth_hw.dtype == np.bool_:
        return truth_hw, np.zeros_like(truth_hw)
    lowest, highest = truth_hw.min(), truth_hw.max()
    is_integer = np.issubdtype(truth_hw.dtype, np.integer)
    one = 255 if is_integer and highest > 1 else 1
    if not (lowest >= 0 and highest <= one):
        raise DataError(f"count: got a truth with values {lowest}..{highest}; must be in 0..{255 if is_integer else 1}")
    full_hw = truth_hw == one
    return full_hw, (truth_hw >= one / 2) & ~full_hw


def _resampled(x_hw: Any, size: int) -> Any:
    """Nearest neighbour to size x size, by pixel centres."""
    if x_hw.shape == (size, size):
        return x_hw
    rows, columns = (((np.arange(size) + 0.5) * n / size).astype(np.int64) for n in x_hw.shape)
    return x_hw[rows[:, None], columns]


def _num(mask: Bool) -> int:
    return int(np.count_nonzero(mask))


def _scaled(score_hw: Score) -> Score:
    """The map divided by its maximum; where that is 0 the codes get NaN, which passes no threshold: -1 here."""
    highest = score_hw.max()
    return score_hw / highest if highest > 0 else np.full_like(score_hw, -1)


def _predicted(score: Score, rules: Rules) -> Bool:
    return score > rules.threshold if rules.threshold_strict else score >= rules.threshold


def _pixels(score_hw: Score, full_hw: Bool, grey_hw: Bool, rules: Rules) -> dict[str, float]:
    """The counts that hold for every image."""
    predicted_hw = _predicted(score_hw if rules.threshold_of == "absolute" else _scaled(score_hw), rules)
    tp = _num(predicted_hw & full_hw)
    return {
        "tp": tp,
        "fp": _num(predicted_hw) - tp,
        "fn": _num(full_hw) - tp,
        "grey": _num(grey_hw),
        "pixels": full_hw.size,
    }


def _detection(score_hw: Score, full_hw: Bool, targets: Components, rules: Rules) -> dict[str, float]:
    """Targets, hits, pairs, false-alarm pixels and the area in which these could lie."""
    score_hw = score_hw if rules.threshold_of == "absolute" else _scaled(score_hw)
    predicted_hw = _predicted(score_hw, rules)
    blobs = find(predicted_hw, rules.connectivity)
    pairing = pair(targets, blobs, full_hw.shape[1])
    row: dict[str, float] = {"targets": len(targets), "false_alarm_area": full_hw.size}
    row |= {"pairs": pairing.pairs, "overlap": pairing.overlap, "objects": pairing.objects}
    if rules.hit == "centroid":
        matched = match(targets, blobs, rules)
        excused = np.isin(blobs.area_k, blobs.area_k[matched]) if rules.false_alarm == "area_list" else matched
        row |= {"hits": _num(matched), "false_alarm_pixels": int(blobs.area_k[~excused].sum())}
    else:
        row["hits"] = _num(_predicted(best_score(score_hw, targets, rules.hit), rules))
    if rules.false_alarm == "background":
        row["false_alarm_pixels"] = _num(predicted_hw & ~full_hw)
        row["false_alarm_area"] -= _num(full_hw)
    elif rules.false_alarm == "far":
        row["false_alarm_pixels"] = _num(predicted_hw & far_from(targets, full_hw.shape))
    return row


def _roc_rows(
    score_hw: Score, full_hw: Bool, targets: Components, cared_hw: Bool | None, rules: Rules
) -> tuple[Int, Int]:
    """The rows ``roc_true`` and ``roc_false`` of one image."""
    cared_hw = np.ones_like(full_hw) if cared_hw is None else cared_hw
    if rules.roc == "levels":
        level_hw = (score_hw * 255 + 0.5).astype(np.uint8)
        of_full = np.bincount(level_hw[targets.row_m, targets.column_m], minlength=256)
        of_rest = np.bincount(level_hw[cared_hw], minlength=256) - of_full
        return np.cumsum(of_full[::-1])[::-1], np.cumsum(of_rest[::-1])[::-1]
    if rules.roc in ("pixel", "sigmoid"):
        of_full = _passing(score_hw[full_hw], rules)
        return of_full, _passing(score_hw[cared_hw], rules) - of_full
    if rules.roc == "target":
        score_hw = _scaled(score_hw)
        rest = score_hw[cared_hw & ~full_hw]
        return _passing(best_score(score_hw, targets, "overlap"), rules), _passing(rest, rules)
    # The false-alarm rate is over all pixels; those near a target never pass.
    of_far = _passing(score_hw[cared_hw & far_from(targets, full_hw.shape)], rules)
    of_far[0] = _num(cared_hw)
    return _passing(best_score(score_hw, targets, "near"), rules), of_far


def _passing(score: Score, rules: Rules) -> Int:
    """How many scores there are, and how many pass each threshold."""
    is_strict = rules.roc in _STRICT_LADDERS
    # Python numbers compare in the precision of the scores.
    ladder = thresholds(rules).tolist()
    return np.array([score.size, *(_num(score > t if is_strict else score >= t) for t in ladder)], dtype=np.int64)
