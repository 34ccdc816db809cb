"""The metrics again, one pixel at a time: no labelling library, no histogram, nothing shared with ``irnas.metrics``
but the ``Rules`` that say what to count. Slow on purpose; the fast kernel is tested against it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from irnas.metrics import Rules

Pixel = tuple[int, int]
EPSILON = 2.0**-52


def components(mask_hw: Any, connectivity: int) -> list[list[Pixel]]:
    """Connected components, in raster order of their first pixels, by flood fill."""
    height, width = mask_hw.shape
    seen: set[Pixel] = set()
    components_of_mask = []
    for start in itertools.product(range(height), range(width)):
        if not mask_hw[start] or start in seen:
            continue
        seen.add(start)
        members, queue = [], [start]
        while queue:
            row, column = queue.pop()
            members.append((row, column))
            for dr, dc in itertools.product((-1, 0, 1), repeat=2):
                if connectivity == 4 and dr and dc:
                    continue
                other = row + dr, column + dc
                inside = 0 <= other[0] < height and 0 <= other[1] < width
                if inside and mask_hw[other] and other not in seen:
                    seen.add(other)
                    queue.append(other)
        components_of_mask.append(members)
    return components_of_mask


def centroid(members: Sequence[Pixel]) -> tuple[float, float]:
    """Mean row and column."""
    return sum(r for r, _ in members) / len(members), sum(c for _, c in members) / len(members)


def distance(a: Sequence[Pixel], b: Sequence[Pixel]) -> float:
    """Between the centroids of two components."""
    (ay, ax), (by, bx) = centroid(a), centroid(b)
    return math.sqrt((ay - by) ** 2 + (ax - bx) ** 2)


def matchings(targets: list[list[Pixel]], blobs: list[list[Pixel]], rules: Rules) -> list[set[int]]:
    """The sets of matched blobs that the rules allow: one, or several where ``optimal`` has ties."""

    def allowed(target: list[Pixel], blob: int) -> bool:
        gap = distance(target, blobs[blob])
        return gap < rules.radius if rules.radius_strict else gap <= rules.radius

    if rules.matching == "optimal":
        return _best_assignments(targets, blobs, allowed)
    used: set[int] = set()
    for target in targets:
        options = [b for b in range(len(blobs)) if b not in used and allowed(target, b)]
        if options and rules.matching == "first":
            used.add(options[0])
        elif options:
            used.add(min(options, key=lambda b: distance(target, blobs[b])))
    return [used]


def _best_assignments(targets: list[list[Pixel]], blobs: list[list[Pixel]], allowed: Any) -> list[set[int]]:
    """All of them are tried: for a handful of components only."""
    options = [[None, *(b for b in range(len(blobs)) if allowed(t, b))] for t in targets]
    scored = []
    for choice in itertools.product(*options):
        matched = [b for b in choice if b is not None]
        if len(set(matched)) == len(matched):
            total = sum(distance(t, blobs[b]) for t, b in zip(targets, choice, strict=True) if b is not None)
            scored.append((len(matched), total, set(matched)))
    most = max(hits for hits, _, _ in scored)
    least = min(total for hits, total, _ in scored if hits == most)
    return [matched for hits, total, matched in scored if hits == most and total <= least + 1e-9]


def opdc(targets: list[list[Pixel]], blobs: list[list[Pixel]]) -> dict[str, float]:
    """Pairs of OPDC matching (arXiv 2509.16888), their IoU and all objects, from sets of pixels.

    Only the assignment of least total distance is the library's.
    """
    objects = max(len(targets), 1) + max(len(blobs), 1)
    iou = {}
    for t, b in itertools.product(range(len(targets)), range(len(blobs))):
        common = len(set(targets[t]) & set(blobs[b]))
        iou[t, b] = common / len(set(targets[t]) | set(blobs[b]))
    pairs: list[tuple[int, int]] = []
    if any(value >= 0.5 for value in iou.values()):
        pairs += [at for at in _assigned(targets, blobs, range(len(targets)), range(len(blobs))) if iou[at] >= 0.5]
    open_targets = [t for t in range(len(targets)) if t not in [pair[0] for pair in pairs]]
    open_blobs = [b for b in range(len(blobs)) if b not in [pair[1] for pair in pairs]]
    for t, b in _assigned(targets, blobs, open_targets, open_blobs):
        if distance(targets[t], blobs[b]) < 3:
            pairs.append((t, b))
    return {"pairs": len(pairs), "overlap": math.fsum(iou[at] for at in pairs), "objects": objects - len(pairs)}


def _assigned(
    targets: list[list[Pixel]], blobs: list[list[Pixel]], rows: Sequence[int], columns: Sequence[int]
) -> list[tuple[int, int]]:
    if not rows or not columns:
        return []
    costs = [[distance(targets[t], blobs[b]) for b in columns] for t in rows]
    return [(rows[r], columns[c]) for r, c in zip(*linear_sum_assignment(costs), strict=True)]


def scaled(score_hw: Any) -> Any:
    """The map over its maximum; NaN, which passes no threshold, where that is 0."""
    highest = score_hw.max()
    result = np.full_like(score_hw, np.nan)
    if highest > 0:
        for at in np.ndindex(score_hw.shape):
            result[at] = score_hw[at] / highest
    return result


def passes(score: Any, threshold: float, strict: bool) -> bool:
    """Whether a score passes, in the precision of the score."""
    limit = type(score)(threshold)
    passed = score > limit if strict else score >= limit
    return bool(passed)


def region(target: list[Pixel], hit: str, shape: Pixel) -> Iterator[Pixel]:
    """Where a target is looked for."""
    rows, columns = range(shape[0]), range(shape[1])
    if hit == "overlap":
        yield from target
    elif hit == "window":
        row, column = (round(x) for x in centroid(target))
        yield from itertools.product(rows[row - 2 : row], columns[column - 2 : column])
    else:
        for row, column in target:
            yield from itertools.product(rows[row - 1 : row + 2], columns[column - 1 : column + 2])


def excused(targets: list[list[Pixel]], shape: Pixel) -> set[Pixel]:
    """Pixels within 4 of a target pixel, by slices that a negative start empties."""
    rows, columns = range(shape[0]), range(shape[1])
    return {
        at
        for row, column in itertools.chain.from_iterable(targets)
        for at in itertools.product(rows[row - 4 : row + 5], columns[column - 4 : column + 5])
    }


def ladder(kind: str) -> tuple[list[float], bool]:
    """Thresholds of a ROC curve, and whether equality fails."""
    if kind == "levels":
        return [k / 255 for k in range(1, 256)], False
    if kind in ("pixel", "sigmoid"):
        return [-1.0 if kind == "sigmoid" and i == 0 else i / 10 for i in range(11)], True
    if kind == "target":
        return [i / 200 for i in range(201)], False
    # fmt: off
    return [
        0.0, 1e-30, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7,
        1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75,
        0.8, 0.85, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 0.999999, 0.9999999, 1.0,
    ], False
    # fmt: on


def resampled(x_hw: Any, size: int | None) -> Any:
    """Nearest neighbour by pixel centres."""
    if size is None:
        return x_hw
    height, width = x_hw.shape
    source = [
        [(int((2 * r + 1) * height / (2 * size)), int((2 * c + 1) * width / (2 * size))) for c in range(size)]
        for r in range(size)
    ]
    return np.array([[x_hw[at] for at in row] for row in source], dtype=x_hw.dtype)


def roc_counts(score_hw: Any, full_hw: Any, targets: list[list[Pixel]], kind: str) -> tuple[list[int], list[int]]:
    """Positives and negatives: all, then those that pass each threshold."""
    limits, strict = ladder(kind)
    shape = full_hw.shape
    every = list(np.ndindex(shape))
    if kind in ("levels", "pixel", "sigmoid"):
        if kind == "levels":
            score_hw = np.array([[int(s * 255 + type(s)(0.5)) / 255 for s in row] for row in score_hw])
        positives = [[score_hw[at]] for at in every if full_hw[at]]
        negatives = [score_hw[at] for at in every if not full_hw[at]]
    else:
        score_hw = scaled(score_hw) if kind == "target" else score_hw
        hit = "overlap" if kind == "target" else "near"
        positives = [[score_hw[at] for at in region(t, hit, shape)] for t in targets]
        near = excused(targets, shape)
        negatives = [score_hw[at] for at in every if (not full_hw[at] if kind == "target" else at not in near)]
    true = [sum(any(passes(s, t, strict) for s in item) for item in positives) for t in limits]
    false = [sum(passes(s, t, strict) for s in negatives) for t in limits]
    return [len(positives), *true], [len(every) if kind == "shooting" else len(negatives), *false]


def count_slowly(score_hw: Any, full_hw: Any, grey_hw: Any, rules: Rules) -> dict[str, Any]:
    """One image's counts under the names of ``Counts``; ``false_alarm_pixels`` is the set of answers that ties allow.

    Args:
        score_hw: float32 or float64 map, 0..1.
        full_hw: where the truth is 1.
        grey_hw: where it is from 0.5 to below 1.
        rules: how to count.
    """
    score_hw, full_hw, grey_hw = (resampled(x, rules.size) for x in (score_hw, full_hw, grey_hw))
    map_hw = scaled(score_hw) if rules.threshold_of == "relative" else score_hw
    every = list(np.ndindex(full_hw.shape))
    on = {at for at in every if passes(map_hw[at], rules.threshold, rules.threshold_strict)}
    full = {at for at in every if full_hw[at]}
    targets = components(full_hw, rules.connectivity)
    row: dict[str, Any] = {
        "tp": len(on & full),
        "fp": len(on - full),
        "fn": len(full - on),
        "pixels": len(every),
        "grey": sum(bool(grey_hw[at]) for at in every),
        "targets": len(targets),
        "false_alarm_area": len(every),
    }
    row["roc_true"], row["roc_false"] = roc_counts(score_hw, full_hw, targets, rules.roc)
    on_hw = np.array([[(r, c) in on for c in range(full_hw.shape[1])] for r in range(full_hw.shape[0])])
    blobs = components(on_hw, rules.connectivity)
    row |= opdc(targets, blobs)
    choices = matchings(targets, blobs, rules) if rules.hit == "centroid" else []
    if rules.hit == "centroid":
        row["hits"] = len(choices[0])
    else:
        row["hits"] = sum(any(at in on for at in region(t, rules.hit, full_hw.shape)) for t in targets)
    if rules.false_alarm == "background":
        row["false_alarm_pixels"] = {len(on - full)}
        row["false_alarm_area"] -= len(full)
    elif rules.false_alarm == "far":
        row["false_alarm_pixels"] = {len(on - excused(targets, full_hw.shape))}
    else:
        row["false_alarm_pixels"] = {_unmatched_area(blobs, matched, rules) for matched in choices}
    if rules.empty == "skip" and not targets:
        row |= {"targets": 0, "hits": 0, "false_alarm_pixels": {0}, "false_alarm_area": 0}
        row |= {"pairs": 0, "overlap": 0.0, "objects": 0}
        row["roc_true"] = row["roc_false"] = [0] * (len(ladder(rules.roc)[0]) + 1)
    return row


def _unmatched_area(blobs: list[list[Pixel]], matched: set[int], rules: Rules) -> int:
    if rules.false_alarm == "map":
        return sum(len(blob) for b, blob in enumerate(blobs) if b not in matched)
    matched_areas = [len(blobs[b]) for b in matched]
    return sum(len(blob) for blob in blobs if len(blob) not in matched_areas)


def summarize_slowly(rows: Sequence[dict[str, Any]], rules: Rules) -> dict[str, float]:
    """The metrics of the rows of ``count_slowly`` (each with one number for ``false_alarm_pixels``)."""

    def total(name: str) -> int:
        return sum(int(row[name]) for row in rows)

    def missed(row: dict[str, Any], grey: str) -> int:
        return int(row["fn"]) + (int(row["grey"]) if grey == "union" else 0)

    def ratio(top: float, bottom: float) -> float:
        return top / bottom if bottom else 0.0

    ious = [ratio(r["tp"], r["tp"] + r["fp"] + missed(r, rules.grey_niou)) for r in rows]
    union = sum(r["tp"] + r["fp"] + missed(r, rules.grey_miou) for r in rows)
    smoothing = rules.smoothing if rules.smoothing > EPSILON else 0.0
    precision = ratio(total("tp"), total("tp") + total("fp") + smoothing)
    recall = ratio(total("tp"), total("tp") + sum(missed(r, rules.grey_pixel) for r in rows) + smoothing)
    f1_smoothing = rules.f1_smoothing if rules.f1_smoothing > EPSILON else 0.0
    fa_smoothing = smoothing if rules.false_alarm == "background" else 0.0
    return {
        "miou": ratio(total("tp"), union),
        "niou": sum(ious) / len(ious),
        "hiou": ratio(math.fsum(row["overlap"] for row in rows), total("objects")),
        "f1": ratio(2 * precision * recall, precision + recall + f1_smoothing),
        "precision": precision,
        "recall": recall,
        "pd": ratio(total("hits"), total("targets")),
        "fa": ratio(total("false_alarm_pixels"), total("false_alarm_area") + fa_smoothing),
        "auc": _area(rows, rules.roc, smoothing),
    }


def _area(rows: Sequence[dict[str, Any]], kind: str, smoothing: float) -> float:
    true, false = (
        [sum(column) for column in zip(*(r[n] for r in rows), strict=True)] for n in ("roc_true", "roc_false")
    )
    if not true[0] or not false[0]:
        return 0.0
    extra = smoothing if kind in ("pixel", "sigmoid") else 0.0
    points = [(f / (false[0] + extra), t / (true[0] + extra)) for f, t in zip(false[1:], true[1:], strict=True)]
    if kind in ("levels", "pixel", "sigmoid"):
        points = [(1.0, 1.0), *points, (0.0, 0.0)]
    return math.fsum((x0 - x1) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(points))


def best_threshold_slowly(train: Sequence[tuple[Any, Any]]) -> tuple[int, float]:
    """The highest of the best grey levels for pooled IoU, and that IoU, by trying all 256."""
    best = (-1.0, -1)
    for level in range(256):
        inter = union = 0
        for image_hw, mask_hw in train:
            for at in np.ndindex(image_hw.shape):
                on, target = int(image_hw[at]) > level, bool(mask_hw[at])
                inter += on and target
                union += on or target
        best = max(best, (inter / union if union else 0.0, level))
    return best[1], best[0]
