"""Connected components of a mask, and which predicted one detects which target.

Legend: hw = rows, columns; k = components; m = pixels of all components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irnas.metrics.rules import Rules

Bool = NDArray[np.bool_]
Int = NDArray[np.int64]
Float = NDArray[np.float64]
Score = NDArray[np.floating[Any]]

_STRUCTURES = {4: ndimage.generate_binary_structure(2, 1), 8: ndimage.generate_binary_structure(2, 2)}

NEAR = 1
"""Pixels around a target pixel in which DTUM counts a detection."""
FAR = 4
"""Pixels around a target pixel in which DTUM counts no false alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The connected components of a mask, in raster order of their first pixels."""

    row_m: Int
    column_m: Int
    component_m: Int
    """The component, 0..k-1, that each pixel belongs to; pixels in raster order."""
    area_k: Int
    """Pixels."""
    centroid_k2: Float
    """Mean row and column."""

    def __len__(self) -> int:
        return len(self.area_k)


def find(mask_hw: Bool, connectivity: int) -> Components:
    """The components of a mask under 4 or 8 neighbours."""
    # Rows and columns far from every pixel are left out: on a sparse mask labelling costs a tenth. One empty line stays
    # after each occupied one, so nothing becomes adjacent that was not.
    rows, columns = (_kept(np.any(mask_hw, axis=axis)) for axis in (1, 0))
    dense_hw = mask_hw[rows[:, None], columns]
    label_hw, number = ndimage.label(dense_hw, _STRUCTURES[connectivity])
    row_m, column_m = np.nonzero(dense_hw)
    component_m = label_hw[row_m, column_m].astype(np.int64) - 1
    row_m, column_m = rows[row_m], columns[column_m]
    area_k = np.bincount(component_m, minlength=number)
    sums = [np.bincount(component_m, weights=where_m, minlength=number) for where_m in (row_m, column_m)]
    centroid_k2 = np.stack(sums, axis=1) / area_k[:, None]
    return Components(row_m=row_m, column_m=column_m, component_m=component_m, area_k=area_k, centroid_k2=centroid_k2)


def _kept(occupied: Bool) -> Int:
    kept = occupied.copy()
    kept[1:] |= occupied[:-1]
    return np.flatnonzero(kept)


def match(targets: Components, blobs: Components, rules: Rules) -> Bool:
    """Which blobs are matched, bool [blobs]; each of them detects one target.

    Distances are between centroids; ``rules`` gives radius, strictness and the order of choice.
    """
    matched = np.zeros(len(blobs), dtype=np.bool_)
    if not len(targets) or not len(blobs):
        return matched
    gap = targets.centroid_k2[:, None] - blobs.centroid_k2[None]
    distance = np.sqrt((gap * gap).sum(axis=2))
    allowed = distance < rules.radius if rules.radius_strict else distance <= rules.radius
    if rules.matching == "optimal":
        return _assigned(distance, allowed)
    for far, open_blobs in zip(distance, allowed, strict=True):
        free = np.flatnonzero(open_blobs & ~matched)
        if free.size:
            matched[free[0] if rules.matching == "first" else free[np.argmin(far[free])]] = True
    return matched


def _assigned(distance: Float, allowed: Bool) -> Bool:
    """The blobs of a largest matching of least total distance."""
    from scipy.optimize import linear_sum_assignment  # takes a tenth of a second to import, and only this rule needs it

    # A forbidden pair costs more than all allowed ones together, so none replaces an allowed pair.
    forbidden = 1.0 + distance[allowed].sum()
    row, column = linear_sum_assignment(np.where(allowed, distance, forbidden))
    matched = np.zeros(distance.shape[1], dtype=np.bool_)
    matched[column[allowed[row, column]]] = True
    return matched


def best_score(score_hw: Score, targets: Components, hit: str) -> Score:
    """The greatest score in the region where a target is looked for, [targets]; -inf where that region is empty.

    Args:
        score_hw: scores, at most 1.
        targets: the targets of that image.
        hit: ``overlap``, ``window`` or ``near`` of ``Rules.hit``.
    """
    best = np.full(len(targets), -np.inf, dtype=score_hw.dtype)
    if hit == "overlap":
        np.maximum.at(best, targets.component_m, score_hw[targets.row_m, targets.column_m])
    elif hit == "window":
        for target, (row, column) in enumerate(np.rint(targets.centroid_k2).astype(np.int64).tolist()):
            # A negative start counts from the other end, as in the code this reproduces: the slice is then empty.
            best[target] = score_hw[row - 2 : row, column - 2 : column].max(initial=-np.inf)
    else:
        for target, row, column in _pixels(targets):
            around = score_hw[row - NEAR : row + NEAR + 1, column - NEAR : column + NEAR + 1]
            best[target] = max(best[target], around.max(initial=-np.inf))
    return best


def far_from(targets: Components, shape: tuple[int, int]) -> Bool:
    """Pixels that lie more than FAR from every target pixel, with the border rule of ``Rules.false_alarm``."""
    far_hw = np.ones(shape, dtype=np.bool_)
    for _, row, column in _pixels(targets):
        far_hw[row - FAR : row + FAR + 1, column - FAR : column + FAR + 1] = False
    return far_hw


def _pixels(targets: Components) -> zip[tuple[int, int, int]]:
    return zip(targets.component_m.tolist(), targets.row_m.tolist(), targets.column_m.tolist(), strict=True)
