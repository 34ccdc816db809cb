"""Partial sum of the tensor nuclear norm: as in IPI, but patches are slices of a tensor, and edges weigh against.

Reference: Zhang, Peng, Infrared small target detection based on partial sum of the tensor nuclear norm, Remote Sensing
11, 2019.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from irnas.baseline.patch import Grid, median
from irnas.baseline.scale import Float, Image, Score, to_score

SIDE, STEP = 40, 40
MAX_ITERATIONS = 300

_WEIGHT = 0.7
_MU, _FASTER, _MOST_MU = 2e-3, 1.05, 1e10
_TOLERANCE = 1e-3
_RATIO = 0.1
_SOFT = 0.01
_TINY = 1e-12


def pstnn(image_hw: Image) -> Score:
    """The sparse part of the tensor of 40x40 patches, which lie side by side."""
    if np.ptp(image_hw) == 0:
        return to_score(np.zeros(image_hw.shape))
    height, width = image_hw.shape
    side = min(SIDE, height, width)
    grid = Grid(height=height, width=width, side=side, step=min(STEP, side))
    f_hw = image_hw.astype(np.float64)
    return to_score(grid.join(separate(grid.cut(f_hw), grid.cut(corners(f_hw))), median))


def corners(f_hw: Float) -> Float:
    """How much a pixel is a corner and no edge, 0..1: l1 (l1 l2) / (l1 + l2) of its structure tensor, l1 >= l2."""
    smooth = _blur(f_hw, 2)
    by_row, by_column = np.gradient(smooth)
    xx, yy, xy = (_blur(product, 9) for product in (by_column**2, by_row**2, by_row * by_column))
    root = np.hypot(xx - yy, 2 * xy)
    large, small = (xx + yy + root) / 2, np.maximum((xx + yy - root) / 2, 0)
    corner_hw = large * large * small / np.maximum(large + small, _TINY)
    return np.asarray((corner_hw - corner_hw.min()) / max(np.ptp(corner_hw), _TINY))


def separate(d_nij: Float, prior_nij: Float) -> Float:
    """The sparse, non-negative T of D = B + T, with B of low tensor rank; all [patches, side, side]."""
    num, side = d_nij.shape[:2]
    rank = _rank(d_nij)
    weight, mu = _WEIGHT / math.sqrt(side * num), _MU
    sparse = dual = np.zeros_like(d_nij)
    penalty = np.ones_like(d_nij)
    support = 0
    for _ in range(MAX_ITERATIONS):
        low = _shrink_slices(d_nij - sparse - dual / mu, rank, 1 / mu)
        sparse = np.maximum(d_nij - low - dual / mu - penalty * weight / mu, 0)
        # The rarer and the more corner-like, the cheaper.
        penalty = rank / (sparse + _SOFT) / np.maximum(prior_nij, _TINY)
        gap = low + sparse - d_nij
        dual = dual + mu * gap
        mu = min(_FASTER * mu, _MOST_MU)
        before, support = support, int(np.count_nonzero(sparse))
        if np.linalg.norm(gap) < _TOLERANCE * np.linalg.norm(d_nij) or 0 < support == before:
            break
    return np.asarray(sparse)


def _blur(f_hw: Float, sigma: float) -> Float:
    """A 3x3 Gaussian."""
    return np.asarray(ndimage.gaussian_filter(f_hw, sigma, radius=1, mode="nearest"))


def _rank(d_nij: Float) -> int:
    """How many singular values of the patches side by side reach a tenth of the first; at least 1."""
    wide = d_nij.transpose(1, 2, 0).reshape(d_nij.shape[1], -1)
    singular = np.linalg.svd(wide, compute_uv=False)
    return max(int((singular >= _RATIO * singular[0]).sum()), 1)


def _shrink_slices(x_nij: Float, rank: int, by: float) -> Float:
    """All but the first ``rank`` singular values of each frequency along the patches, less ``by``."""
    # The spectrum of real numbers is symmetric, so half of its slices will do.
    u, singular, v = np.linalg.svd(np.fft.rfft(x_nij, axis=0), full_matrices=False)
    singular[:, rank:] = np.maximum(singular[:, rank:] - by, 0)
    return np.asarray(np.fft.irfft((u * singular[:, None, :]) @ v, n=len(x_nij), axis=0))
