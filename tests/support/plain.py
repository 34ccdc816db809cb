"""Freeze-thaw's decision, one option after the other: slow and obvious, to hold the fast one against."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from irnas.core.settings import ENDLESS, TotalBudget
from irnas.search.strategy import Decision
from irnas.search.strategy.expected_hypervolume import Costs
from irnas.search.strategy.freeze_thaw import FreezeThaw
from irnas.search.strategy.surrogate import EpochTimeModel

Worst = tuple[float, Costs]


class PlainFreezeThaw(FreezeThaw):
    """Looks at all options in turn and sums over all trainings that ended or are pending."""

    def __init__(self, *args: Any, epochs: int, total_budget: TotalBudget = ENDLESS, **more: Any) -> None:
        super().__init__(*args, epochs=epochs, total_budget=total_budget, **more)
        self._epochs, self._total_budget = epochs, total_budget
        self._progress: dict[int, tuple[int, float]] = {}

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        self._progress[trial] = epoch, seconds
        return super().observe(trial, epoch, values, seconds)

    def _rate(self, option: int | str) -> float:
        """Seconds an epoch: its own, or as predicted from those of others."""
        if option in self._progress:
            epoch, seconds = self._progress[int(option)]
            return seconds / epoch
        costs = self._pool[self._key(option)].costs
        pairs = [(self._first(t), seconds / epoch) for t, (epoch, seconds) in self._progress.items()]
        return float(EpochTimeModel(pairs).predict(np.array(costs[0] if costs else 0.0)))

    def _first(self, trial: int) -> float:
        costs = self._pool[self._key(trial)].costs
        return costs[0] if costs else 0.0

    def _reached(self, option: int | str) -> int:
        height = self._ladder.height(option) if isinstance(option, int) else 0
        return self._ladder.steps[height - 1] if height else 0

    def _affordable(self, options: Sequence[int | str]) -> list[int | str]:
        """One after the other: epochs and seconds that are paid, or will be when all that is pending has ended."""
        paid = [seconds for _, seconds in self._progress.values()]
        remaining = [(t, self._epochs - self._progress.get(t, (0, 0.0))[0]) for t in self._pending]
        epochs = self._total_budget.epochs - sum(e for e, _ in self._progress.values()) - sum(n for _, n in remaining)
        seconds = self._total_budget.seconds - sum(paid) - sum(n * self._rate(t) for t, n in remaining)
        left = {o: self._epochs - self._reached(o) for o in options}
        return [o for o in options if left[o] <= epochs and (not paid or left[o] * self._rate(o) <= seconds)]

    def _search(self) -> int | str | None:
        new = [key for key in self._pool.keys if key not in self._trials]
        options = self._affordable([*sorted(self._paused), *new])
        posterior = self._model.predict([], self._pending_keys()) if options else None
        if posterior is None:
            return options[0] if options else None
        mean_of, deviation_of = posterior
        front, worst = self._plain_front(mean_of)
        best, best_rate = options[0], -1.0
        for option in options:
            key, left = self._key(option), self._epochs - self._reached(option)
            costs = self._pool[key].costs
            improvement = sum_improvement(mean_of[key], deviation_of[key], costs, front, worst)
            counts_epochs = math.isfinite(self._total_budget.epochs) and math.isinf(self._total_budget.seconds)
            seconds = 1.0 if counts_epochs else self._rate(option)
            rate = improvement / (left * seconds)
            if rate > best_rate:
                best, best_rate = option, rate
        return best

    def _plain_front(self, mean_of: dict[str, float]) -> tuple[list[tuple[float, Costs]], Worst]:
        front = []
        for trial, proposal in self._proposals.items():
            key = proposal.genotype.key
            if trial in self._model._finals:
                front.append((self._model._finals[trial], self._pool[key].costs))
            elif trial not in self._ended and trial not in self._paused:
                front.append((mean_of[key], self._pool[key].costs))
        low, high = min(mean_of.values()), max(mean_of.values())
        return front, (low - max(0.1 * (high - low), 0.01), self._pool.worst(0.1))


def sum_improvement(
    mean: float, deviation: float, costs: Costs, front: Sequence[tuple[float, Costs]], worst: Worst
) -> float:
    """The expected improvement of one point, as a sum from the floor to the top over all levels of the front."""
    floor, limits = worst
    if any(c >= limit for c, limit in zip(costs, limits, strict=True)):
        return 0.0
    total, before = 0.0, excess(mean, deviation, floor)
    for level in [*sorted({gain for gain, _ in front if gain > floor}), math.inf]:
        after = excess(mean, deviation, level)
        above = [other for gain, other in front if gain >= level]
        total += uncovered(costs, above, limits) * (before - after)
        before = after
    return total


def excess(mean: float, deviation: float, level: float) -> float:
    """E[max(Y - level, 0)] for a normal Y."""
    if math.isinf(level):
        return 0.0
    z = (mean - level) / deviation
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return deviation * density + (mean - level) * 0.5 * math.erfc(-z / math.sqrt(2))


def uncovered(costs: Costs, others: Sequence[Costs], limits: Costs) -> float:
    """The volume between ``costs`` and ``limits`` that no other dominates: the cells of the grid that all span."""
    cuts = []
    for axis, (cost, limit) in enumerate(zip(costs, limits, strict=True)):
        cuts.append(sorted({cost, limit, *(o[axis] for o in others if cost < o[axis] < limit)}))
    return sum(
        math.prod(high - low for low, high in cell)
        for cell in itertools.product(*(itertools.pairwise(places) for places in cuts))
        if not any(all(map(operator.le, other, (low for low, _ in cell))) for other in others)
    )
