"""Detection metrics: counts per image first, ratios over the split second.

``count`` turns one predicted map and one truth mask into integers; ``Counts.concat`` joins images; ``summarize`` turns
counts into the metrics that ``irnas.core.objective`` names. Counts add up, so a split scored in batches equals a split
scored at once. ``Rules`` says how to count; ``PRESETS`` holds the rules of published evaluation codes, of which
``basicirstd`` is the default.

Every ratio 0/0 is 0: a set without targets has pd 0, and an image without targets adds 0 to the mean of ``niou``
whatever was predicted in it.
"""

from irnas.metrics.baseline import above, all_background, global_threshold, score_baselines
from irnas.metrics.contest import contest_score
from irnas.metrics.judge import HALF, DetectionCurve, DetectionMeter, Judge, Metrics
from irnas.metrics.rules import LIMITIRSTD, PRESETS, Rules, preset
from irnas.metrics.tally import IGNORED, Counts, count, count_labels
from irnas.metrics.value import Curve, image_iou, roc, summarize

__all__ = [
    "HALF",
    "IGNORED",
    "LIMITIRSTD",
    "PRESETS",
    "Counts",
    "Curve",
    "DetectionCurve",
    "DetectionMeter",
    "Judge",
    "Metrics",
    "Rules",
    "above",
    "all_background",
    "contest_score",
    "count",
    "count_labels",
    "global_threshold",
    "image_iou",
    "preset",
    "roc",
    "score_baselines",
    "summarize",
]
