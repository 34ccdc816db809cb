"""Order among networks with several objectives; smaller is better on every axis."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ranks(points_nk: Array) -> NDArray[np.int64]:
    """0 for the points that none dominates, 1 for those that only rank 0 dominates, and so on.

    Source: fast non-dominated sorting, K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II",
    2002, section III-A.
    """
    if points_nk.shape[1] == 2:
        return _ranks_of_pairs(points_nk)
    no_worse = (points_nk[:, None, :] <= points_nk[None, :, :]).all(axis=2)
    dominates = no_worse & ~no_worse.T
    rank_n = np.full(len(points_nk), -1, np.int64)
    left, rank = np.ones(len(points_nk), bool), 0
    while left.any():
        best = left & ~(dominates & left[:, None]).any(axis=0)
        rank_n[best] = rank
        left &= ~best
        rank += 1
    return rank_n


def _ranks_of_pairs(points_n2: Array) -> NDArray[np.int64]:
    """The same in n log n: from left to right, a rank dominates a point where its lowest so far is not above it."""
    distinct_m2, inverse_n = np.unique(points_n2, axis=0, return_inverse=True)
    lowest: list[float] = []
    rank_m = np.empty(len(distinct_m2), np.int64)
    for index, height in enumerate(distinct_m2[:, 1].tolist()):
        rank = bisect.bisect_right(lowest, height)
        lowest[rank : rank + 1] = [height]
        rank_m[index] = rank
    return rank_m[inverse_n.ravel()]


def crowding(points_nk: Array) -> Array:
    """The side lengths, summed, of the box between each point's neighbours; infinite at the ends of an axis.

    Source: crowding distance, Deb et al. 2002, section III-B.
    """
    crowding_n = np.zeros(len(points_nk))
    for column in points_nk.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        crowding_n[order[[0, -1]]] = np.inf
        if span > 0:
            crowding_n[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return crowding_n


def best_first(points: Sequence[Sequence[float]], violations: Sequence[float] = ()) -> list[int]:
    """Indices by non-dominated rank, then by crowding (the lonelier first), then in the order of ``points``.

    Those with a violation above 0 come after all others, the least first.
    """
    if any(violations):
        kept = [i for i, violation in enumerate(violations) if not violation]
        missing = [i for i, violation in enumerate(violations) if violation]
        best = [kept[i] for i in best_first([points[i] for i in kept])]
        return [*best, *sorted(missing, key=lambda i: violations[i])]
    if not points:
        return []
    points_nk = np.asarray(points, np.float64)
    rank_n = ranks(points_nk)
    lonely_n = np.zeros(len(points_nk))
    for rank in range(int(rank_n.max()) + 1):
        lonely_n[rank_n == rank] = crowding(points_nk[rank_n == rank])
    return [int(i) for i in np.lexsort((np.arange(len(points_nk)), -lonely_n, rank_n))]
