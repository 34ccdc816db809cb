"""Pairs of targets and blobs by overlap first and by distance second: what hIoU is made of.

Source: Pang et al., Rethinking Evaluation of Infrared Small Target Detection (NeurIPS 2025, arXiv 2509.16888), "OPDC
matching" (overlap priority with distance compensation), and the authors' package pyirstdmetrics 1.0.2, which this
reproduces to the digit (tests/golden/test_hiou.py).

Legend: m = pixels of all components; t, b = targets, blobs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irnas.metrics.component import Bool, Components, Float, Int

OVERLAP = 0.5
"""Least IoU of a pair that overlap alone makes."""
RADIUS = 3.0
"""Pixels below which the centroids of a pair must lie that distance alone makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What OPDC matching comes to in one image."""

    pairs: int
    overlap: float
    """Sum of the IoU of the pairs."""
    objects: int
    """Pairs, targets without a blob, and blobs without a target. The authors' code counts a missing target in an image
    without targets, and a false blob where nothing is predicted; so does this."""


def pair(targets: Components, blobs: Components, width: int) -> Pairing:
    """Pair the targets of an image with its predicted blobs.

    All are assigned at the least total distance; pairs with an IoU of at least ``OVERLAP`` stand. What is left is
    assigned anew, and pairs closer than ``RADIUS`` stand.

    Args:
        targets: the components of the truth.
        blobs: the components of the prediction.
        width: of the image, in pixels.
    """
    objects = max(len(targets), 1) + max(len(blobs), 1)
    if not len(targets) or not len(blobs):
        return Pairing(pairs=0, overlap=0.0, objects=objects)
    gap = targets.centroid_k2[:, None] - blobs.centroid_k2[None]
    distance_tb = np.sqrt((gap * gap).sum(axis=2))
    iou_tb = _iou(targets, blobs, width)
    paired_tb = np.zeros(distance_tb.shape, dtype=np.bool_)
    if (iou_tb >= OVERLAP).any():
        paired_tb[_assign(distance_tb)] = True
        paired_tb &= iou_tb >= OVERLAP
    if (distance_tb < RADIUS).any():
        rest_t, rest_b = np.flatnonzero(~paired_tb.any(axis=1)), np.flatnonzero(~paired_tb.any(axis=0))
        row, column = _assign(distance_tb[np.ix_(rest_t, rest_b)])
        row, column = rest_t[row], rest_b[column]
        is_near = distance_tb[row, column] < RADIUS
        paired_tb[row[is_near], column[is_near]] = True
    pairs = int(np.count_nonzero(paired_tb))
    return Pairing(pairs=pairs, overlap=float(iou_tb[paired_tb].sum()), objects=objects - pairs)


def _assign(distance_tb: Float) -> tuple[Int, Int]:
    from scipy.optimize import linear_sum_assignment  # takes a tenth of a second to import

    row, column = linear_sum_assignment(distance_tb)
    return row, column


def _iou(targets: Components, blobs: Components, width: int) -> Float:
    """The IoU of each target with each blob, [t, b]."""
    of_targets, of_blobs = (part.row_m * width + part.column_m for part in (targets, blobs))
    # Pixels stand in raster order, so both are sorted.
    place = np.minimum(np.searchsorted(of_blobs, of_targets), len(of_blobs) - 1)
    is_common: Bool = of_blobs[place] == of_targets
    common_tb = np.zeros((len(targets), len(blobs)), dtype=np.int64)
    np.add.at(common_tb, (targets.component_m[is_common], blobs.component_m[place[is_common]]), 1)
    iou_tb: Float = common_tb / (targets.area_k[:, None] + blobs.area_k[None] - common_tb)
    return iou_tb
