"""From counts to metrics: one formula each, and a named reduction.

Pooled over the split: miou, hiou, precision, recall, f1, pd, fa, auc. Mean over images: niou.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irnas.metrics.component import Float, Int
from irnas.metrics.rules import EPSILON, Grey, Rules
from irnas.metrics.tally import Counts, thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A ROC curve at ascending thresholds, so both rates fall from left to right."""

    threshold: Float
    """[r]"""
    true_rate: Float
    """[r] 0..1: targets (or target pixels) that pass, over all of them."""
    false_rate: Float
    """[r] 0..1: background pixels that pass, over all of them."""
    auc: float
    """Area under the curve, 0..1."""


def summarize(counts: Counts) -> dict[str, float]:
    """The metrics by objective name, all finite fractions.

    - miou: sum of intersections / sum of unions. It is foreground IoU pooled over all pixels of the set, whatever its
      name says: large targets dominate. A set without target and prediction: 0.
    - niou: mean over images of intersection / union. An image without targets adds 0.
    - hiou: mean IoU of the pairs of a target and a blob (``hierarchy.pair``), times pairs / (pairs + targets without a
      blob + blobs without a target), both over the whole set. No pair: 0.
    - precision, recall, f1: pixels pooled over the set. No predicted pixel: precision and f1 are 0. No target pixel:
      recall and f1 are 0.
    - pd: detected targets / targets. A set without targets: 0.
    - fa: false-alarm pixels / pixels that could be false alarms (all pixels, or the background; ``Rules.false_alarm``);
      a fraction, where papers print it times 1e6 or 1e5. An image without targets counts like any other, unless the
      rules skip it; a set of skipped images: 0.
    - auc: area under the curve of ``roc``. A set without targets, or without background: 0.
    """
    rules = counts.rules
    tp, fp = int(counts.tp.sum()), int(counts.fp.sum())
    precision = tp / (tp + fp + rules.smoothing)
    recall = tp / (tp + int(_missed(counts, rules.grey_pixel).sum()) + rules.smoothing)
    pd, fa = detection_rates(rules, *detection_sums(counts))
    return {
        "miou": tp / (int(_union(counts, rules.grey_miou).sum()) + EPSILON),
        "niou": float(image_iou(counts).mean()),
        "hiou": _hierarchical_iou(counts),
        "f1": 2 * precision * recall / (precision + recall + rules.f1_smoothing),
        "precision": precision,
        "recall": recall,
        "pd": pd,
        "fa": fa,
        "auc": roc(counts).auc,
    }


def detection_sums(counts: Counts) -> tuple[int, int, int, int]:
    """Detected targets, targets, false-alarm pixels, and pixels that could be false alarms, of all images."""
    columns = (counts.hits, counts.targets, counts.false_alarm_pixels, counts.false_alarm_area)
    hits, targets, wrong, area = (int(column.sum()) for column in columns)
    return hits, targets, wrong, area


def detection_rates(rules: Rules, hits: int, targets: int, wrong: int, area: int) -> tuple[float, float]:
    """``pd`` and ``fa`` of ``summarize``, from ``detection_sums``."""
    fa = wrong / (area + rules.smoothing) if rules.false_alarm == "background" else wrong / max(area, 1)
    return hits / max(targets, 1), fa


def image_iou(counts: Counts) -> Float:
    """Intersection over union of each image, [n]; 0 where both are empty."""
    iou: Float = counts.tp / (_union(counts, counts.rules.grey_niou) + EPSILON)
    return iou


def _hierarchical_iou(counts: Counts) -> float:
    """Mean IoU of the pairs times the share of the pairs in all objects."""
    pairs, objects = int(counts.pairs.sum()), int(counts.objects.sum())
    return float(counts.overlap.sum()) / pairs * (pairs / objects) if pairs else 0.0


def roc(counts: Counts) -> Curve:
    """The curve that ``Rules.roc`` names, at its thresholds.

    The area is a trapezoid sum. The pixel curves (``levels``, ``pixel``, ``sigmoid``) are closed with (0, 0) and (1, 1)
    for it; ``target`` and ``shooting`` are not, as in RPCANet and DTUM: what lies left of the strictest threshold's
    false rate, or right of the loosest one's, is missing. Areas of different kinds cannot be compared. Without
    positives, or without negatives, the rate of these and the area are 0.
    """
    rules = counts.rules
    smoothing = rules.smoothing if rules.roc in ("pixel", "sigmoid") else 0.0
    ladder = thresholds(rules)
    positives, negatives = counts.roc_true.sum(axis=0), counts.roc_false.sum(axis=0)
    true_rate, false_rate = (passing[1:] / (max(passing[0], 1) + smoothing) for passing in (positives, negatives))
    x, y = false_rate[::-1], true_rate[::-1]
    if rules.roc not in ("target", "shooting"):
        x, y = np.concatenate([[0.0], x, [1.0]]), np.concatenate([[0.0], y, [1.0]])
    auc = float(np.trapezoid(y, x)) if positives[0] and negatives[0] else 0.0
    return Curve(threshold=ladder, true_rate=true_rate, false_rate=false_rate, auc=auc)


def _missed(counts: Counts, grey: Grey) -> Int:
    return counts.fn + counts.grey if grey == "union" else counts.fn


def _union(counts: Counts, grey: Grey) -> Int:
    return counts.tp + counts.fp + _missed(counts, grey)
