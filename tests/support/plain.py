"""Freeze-thaw's decision, one option after the other: slow and obvious, to hold the fast one against."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence

import numpy as np

from irnas.search.strategy.freeze import FreezeThaw
from irnas.search.strategy.improvement import Costs
from irnas.search.strategy.surrogate import Pace

Worst = tuple[float, Costs]


class PlainFreezeThaw(FreezeThaw):
    """Looks at all options in turn and sums over all trainings that ended or are at work."""

    def _search(self) -> int | str | None:
        new = [key for key in self._pool.keys if key not in self._keys]
        options: list[int | str] = [*sorted(self._paused), *new]
        beliefs = self._believe([]) if options else None
        if beliefs is None:
            return options[0] if options else None
        mean_of, spread_of = beliefs
        front, worst = self._plain_front(mean_of)
        pace = Pace(list(self._paces.values()))
        best, best_rate = options[0], -1.0
        for option in options:
            key, left = option, self._epochs
            if isinstance(option, int):
                key = self._proposals[option].genotype.key
                left -= self._ladder.steps[self._ladder.height(option) - 1]
            costs = self._pool[str(key)].costs
            gain = plainly(mean_of[str(key)], spread_of[str(key)], costs, front, worst)
            rate = gain / (left * float(pace.seconds(np.array(costs[0] if costs else 0.0))))
            if rate > best_rate:
                best, best_rate = option, rate
        return best

    def _plain_front(self, mean_of: dict[str, float]) -> tuple[list[tuple[float, Costs]], Worst]:
        front = []
        for trial, proposal in self._proposals.items():
            key = proposal.genotype.key
            if trial in self._finals:
                front.append((self._finals[trial], self._pool[key].costs))
            elif trial not in self._over and trial not in self._paused:
                front.append((mean_of[key], self._pool[key].costs))
        low, high = min(mean_of.values()), max(mean_of.values())
        return front, (low - max(0.1 * (high - low), 0.01), self._pool.worst(0.1))


def plainly(mean: float, spread: float, costs: Costs, front: Sequence[tuple[float, Costs]], worst: Worst) -> float:
    """The expected improvement of one point, as a sum from the floor to the top over all levels of the front."""
    floor, limits = worst
    if any(c >= limit for c, limit in zip(costs, limits, strict=True)):
        return 0.0
    total, before = 0.0, excess(mean, spread, floor)
    for level in [*sorted({gain for gain, _ in front if gain > floor}), math.inf]:
        after = excess(mean, spread, level)
        above = [other for gain, other in front if gain >= level]
        total += uncovered(costs, above, limits) * (before - after)
        before = after
    return total


def excess(mean: float, spread: float, level: float) -> float:
    """E[max(Y - level, 0)] for a normal Y."""
    if math.isinf(level):
        return 0.0
    z = (mean - level) / spread
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return spread * density + (mean - level) * 0.5 * math.erfc(-z / math.sqrt(2))


def uncovered(costs: Costs, others: Sequence[Costs], limits: Costs) -> float:
    """The volume between ``costs`` and ``limits`` that no other dominates: the cells of the grid that all span."""
    cuts = []
    for axis, (cost, limit) in enumerate(zip(costs, limits, strict=True)):
        cuts.append(sorted({cost, limit, *(o[axis] for o in others if cost < o[axis] < limit)}))
    return sum(
        math.prod(high - low for low, high in cell)
        for cell in itertools.product(*(itertools.pairwise(found) for found in cuts))
        if not any(all(map(operator.le, other, (low for low, _ in cell))) for other in others)
    )
