"""How much hypervolume networks are expected to add when all of their objectives but one are known.

On a grid of the one uncertain axis the known axes leave a box that the front has not covered yet; that box shrinks in
steps at the front's points. The expectation over a normal posterior is then a sum with one term a step: exact, and
cheap enough for thousands of candidates at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

Array = NDArray[np.float64]
Costs = tuple[float, ...]


class ExpectedHypervolumeImprovement:
    """A front, prepared to say what further points would add to its hypervolume."""

    def __init__(self, front: Sequence[tuple[float, Costs]], worst: tuple[float, Costs]) -> None:
        """Prepare a front.

        Args:
            front: its points, each (uncertain axis, on which larger is better; known axes, on which smaller is); need
                not be free of dominated ones.
            worst: the corner from which volume is measured; points beyond it on a known axis cover nothing.
        """
        self._floor, limits = worst
        self._limit_k = np.array(limits)
        self._steps: list[tuple[float, Array]] = []
        """From the top down: (where a step begins, the known axes of the front's points above it, [N, K])."""
        above_nk = np.empty((0, len(limits)))
        ordered = sorted(front, key=lambda p: (-p[0], p[1]))
        if len(limits) == 1:
            # With one known axis all that is dominated is seen at once: it is where a point before was no dearer.
            cost_n = np.array([costs[0] for _, costs in ordered])
            cheapest_n = np.minimum.accumulate(np.concatenate([[math.inf], cost_n]))[:-1]
            ordered = [point for point, is_new in zip(ordered, cost_n < cheapest_n, strict=True) if is_new]
        for level, group in itertools.groupby(ordered, key=lambda p: p[0]):
            before_nk = above_nk
            for _, costs in group:
                above_nk = _add_point(above_nk, np.array(costs))
            # A dominated point ends no step.
            if level > self._floor and above_nk is not before_nk:
                self._steps.append((level, above_nk))

    def covered(self, best_k: Array) -> float:
        """The hypervolume of the front itself, seen from the best of each known axis."""
        if not self._steps:
            return 0.0
        corner_mk, total = np.asarray(best_k, dtype=np.float64)[None], 0.0
        box = float(_uncovered(corner_mk, np.empty((0, len(self._limit_k))), self._limit_k)[0])
        ends = [level for level, _ in self._steps[1:]] + [self._floor]
        for (level, above_nk), end in zip(self._steps, ends, strict=True):
            total += (level - end) * (box - float(_uncovered(corner_mk, above_nk, self._limit_k)[0]))
        return total

    def expected(self, mean_m: Array, deviation_m: Array, cost_mk: Array) -> Array:
        """The hypervolume that each of ``M`` points is expected to add.

        Args:
            mean_m: means of the normal posteriors on the uncertain axis.
            deviation_m: their standard deviations, above 0.
            cost_mk: the known axes.
        """
        total_m, above_m = np.zeros(len(mean_m)), np.zeros(len(mean_m))
        free_m = _uncovered(cost_mk, np.empty((0, len(self._limit_k))), self._limit_k)
        for level, above_nk in self._steps:
            excess_m = _excess(mean_m, deviation_m, level)
            total_m += free_m * (excess_m - above_m)
            above_m, free_m = excess_m, _uncovered(cost_mk, above_nk, self._limit_k)
        total_m += free_m * (_excess(mean_m, deviation_m, self._floor) - above_m)
        return total_m


def _add_point(points_nk: Array, point_k: Array) -> Array:
    """The points and one more, without those that another is at least as good as; the same array if it is."""
    if (points_nk <= point_k).all(axis=1).any():
        return points_nk
    kept_nk = points_nk[~(point_k <= points_nk).all(axis=1)]
    return np.vstack([kept_nk, point_k])


def _excess(mean_m: Array, deviation_m: Array, level: float) -> Array:
    """E[max(Y - level, 0)] for each normal Y."""
    z_m = (mean_m - level) / deviation_m
    density_m = np.exp(-z_m * z_m / 2) / math.sqrt(2 * math.pi)
    excess_m: Array = deviation_m * density_m + (mean_m - level) * 0.5 * erfc(-z_m / math.sqrt(2))
    return excess_m


def _uncovered(cost_mk: Array, other_nk: Array, limit_k: Array) -> Array:
    """The volume between each point and the limits that none of the others dominates: slices of the last axis."""
    if len(limit_k) == 0:
        # Without known axes, whoever reaches a level covers it all.
        return np.full(len(cost_mk), 0.0 if len(other_nk) else 1.0)
    limit, cost_m, cut_n = float(limit_k[-1]), cost_mk[:, -1], other_nk[:, -1]
    if len(limit_k) == 1:
        return np.asarray(np.maximum(min(limit, cut_n.min(initial=math.inf)) - cost_m, 0.0))
    cuts = np.unique(cut_n[cut_n < limit]).tolist()
    total_m = np.zeros(len(cost_mk))
    for low, high in itertools.pairwise([-math.inf, *cuts, limit]):
        width_m = np.maximum(high - np.maximum(low, cost_m), 0.0)
        total_m += width_m * _uncovered(cost_mk[:, :-1], other_nk[cut_n <= low, :-1], limit_k[:-1])
    return total_m
