"""Infrared patch-image model: background patches resemble each other, so their matrix has low rank; a target is rare.

Reference: Gao, Meng, Yang, Wang, Zhou, Hauptmann, Infrared patch-image model for small target detection in a single
image, IEEE Transactions on Image Processing 22, 2013. Solver: accelerated proximal gradient with continuation (Lin,
Ganesh, Wright, Wu, Chen, Ma, Fast convex optimization algorithms for exact recovery of a corrupted low-rank matrix,
2009).
"""

from __future__ import annotations

import math

import numpy as np

from irnas.baseline.patch import Grid, median
from irnas.baseline.scale import Float, Image, Score, to_score

SIDE, STEP = 50, 10
MAX_ITERATIONS = 200

_SLOWER = 0.9
_TOLERANCE = 1e-6
_SAME_RANK = 10
_SAME_SUPPORT = 20
_GREATEST_RANK = 0.3


def ipi(image_hw: Image) -> Score:
    """The sparse part of the matrix of 50x50 patches, 10 pixels apart; overlaps by their median.

    About two seconds for 256x256 pixels on one core.
    """
    if np.ptp(image_hw) == 0:
        return to_score(np.zeros(image_hw.shape))
    height, width = image_hw.shape
    side = min(SIDE, height, width)
    grid = Grid(height=height, width=width, side=side, step=min(STEP, side))
    patches = grid.cut(image_hw.astype(np.float64))
    d_pn = patches.reshape(len(patches), -1).T
    d_pn = (d_pn - d_pn.min()) / np.ptp(d_pn)
    sparse = separate(d_pn, 1 / math.sqrt(max(height, width)))
    return to_score(grid.join(sparse.T.reshape(patches.shape), median))


def separate(d_pn: Float, weight: float) -> Float:
    """The sparse T of the least |B|_* + weight |T|_1 with D = B + T, all [pixels, patches]."""
    singular = np.sqrt(np.maximum(np.linalg.eigvalsh(_gram(d_pn))[::-1], 0))
    mu, least = (singular[min(i, len(singular) - 1)] for i in (1, 3))
    # A matrix of rank one or three would leave nothing to shrink by.
    least = max(0.005 * least, 1e-6 * singular[0])
    mu = max(mu, least)
    low = low_before = np.zeros_like(d_pn)
    sparse = sparse_before = np.zeros_like(d_pn)
    t = t_before = 1.0
    same, rank_before, support_before = 0, -1, 0
    for _ in range(MAX_ITERATIONS):
        push = (t_before - 1) / t
        y_low, y_sparse = low + push * (low - low_before), sparse + push * (sparse - sparse_before)
        half = 0.5 * (y_low + y_sparse - d_pn)
        low_before, sparse_before = low, sparse
        low, rank = _shrink_singular(y_low - half, mu / 2)
        sparse = _shrink(y_sparse - half, weight * mu / 2)
        t, t_before = (1 + math.sqrt(1 + 4 * t * t)) / 2, t
        mu = max(_SLOWER * mu, least)
        support = int(np.count_nonzero(sparse))
        is_steady = rank == rank_before and abs(support - support_before) < _SAME_SUPPORT
        same = same + 1 if is_steady else 0
        rank_before, support_before = rank, support
        if same > _SAME_RANK or rank > _GREATEST_RANK * min(d_pn.shape):
            break
        if _residual(low, sparse, y_low, y_sparse) < _TOLERANCE:
            break
    return sparse


def _gram(x_pn: Float) -> Float:
    return np.asarray(x_pn.T @ x_pn)


def _shrink(x_pn: Float, by: float) -> Float:
    return np.asarray(np.sign(x_pn) * np.maximum(np.abs(x_pn) - by, 0))


def _shrink_singular(x_pn: Float, by: float) -> tuple[Float, int]:
    """Singular values less ``by``, and how many are left. There are few patches: their Gram matrix is small."""
    values, vectors = np.linalg.eigh(_gram(x_pn))
    singular = np.sqrt(np.maximum(values, 0))
    kept = singular > by
    v_nk = vectors[:, kept]
    return np.asarray((x_pn @ v_nk) * (1 - by / singular[kept]) @ v_nk.T), int(kept.sum())


def _residual(low: Float, sparse: Float, y_low: Float, y_sparse: Float) -> float:
    """How far from the optimum, relative to the size of the parts."""
    pull = low + sparse - y_low - y_sparse
    gap = math.hypot(*(float(np.linalg.norm(2 * (y - x) + pull)) for y, x in ((y_low, low), (y_sparse, sparse))))
    return gap / (2 * max(1.0, math.hypot(float(np.linalg.norm(low)), float(np.linalg.norm(sparse)))))
