"""What a search has spent on trainings, what the next ones will take, and which of them it can still afford."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from irnas.core.settings import ENDLESS, TotalBudget
from irnas.search.strategy.surrogate import Pace

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_TIMED = 512
"""Trainings, the newest, that the pace is learnt from."""


class Purse:
    """Counts epochs and seconds, and knows how long an epoch takes: where a training has begun its own, else a guess.

    A training that does not come to its end buys nothing, so a budget is spent on what it can carry that far. The guess
    goes by the position of a network's first cost.
    """

    def __init__(self, total_budget: TotalBudget, epochs: int) -> None:
        """Begin with all that is ``total_budget``, and full trainings of so many ``epochs``."""
        self._spendable, self._epochs = total_budget, epochs
        self._costs: dict[int, float] = {}
        self._reached: dict[int, int] = {}
        self._told: dict[int, float] = {}
        """The seconds of each training's newest report."""
        self._took: dict[int, float] = {}
        """Seconds of each training, in all."""
        self._paces: dict[int, float] = {}
        """Seconds an epoch."""
        self._spent = TotalBudget(0.0, 0.0)

    @property
    def is_endless(self) -> bool:
        """Whether there is no budget."""
        return self._spendable == ENDLESS

    def begin(self, trial: int, cost: float) -> None:
        """Take note of a training of a network of that first cost."""
        self._costs[trial] = cost

    def spend(self, trial: int, epoch: int, seconds: float) -> None:
        """Take note of how far a training is, and after how many seconds since it was last started."""
        before = self._told.get(trial, 0.0)
        more = seconds - before if seconds >= before else seconds
        gone = max(epoch - self._reached.get(trial, 0), 0)
        self._reached[trial] = self._reached.get(trial, 0) + gone
        self._told[trial] = seconds
        self._took[trial] = self._took.get(trial, 0.0) + more
        if self._took[trial] > 0:
            self._paces[trial] = self._took[trial] / self._reached[trial]
        self._spent = TotalBudget(self._spent.epochs + gone, self._spent.seconds + more)

    def ahead(self, trials: Sequence[int | None], cost_m: Array) -> tuple[Array, Array]:
        """Epochs that are left of each of ``M`` trainings, and seconds that they will take.

        Args:
            trials: their numbers; None is one that has not begun.
            cost_m: the first costs of their networks.
        """
        reached_m = np.array([0 if t is None else self._reached.get(t, 0) for t in trials])
        # Of a whole training the result is still missing.
        left_m = np.maximum(self._epochs - reached_m, 1)
        own_m = np.array([math.nan if t is None else self._paces.get(t, math.nan) for t in trials])
        newest = list(self._paces.items())[-MAX_TIMED:]
        others = Pace([(self._costs[t], pace) for t, pace in newest])
        return left_m, left_m * np.where(np.isnan(own_m), others.seconds(cost_m), own_m)

    def prices(self, left_m: Array, seconds_m: Array) -> Array:
        """What such trainings take of what is scarce: epochs where only they are limited, else seconds."""
        counts_epochs = math.isfinite(self._spendable.epochs) and math.isinf(self._spendable.seconds)
        return left_m if counts_epochs else seconds_m

    def carries(self, left_m: Array, seconds_m: Array, busy: Collection[int]) -> Flags:
        """Whether what is left brings such trainings to their ends, once all that is at work has come to its own."""
        epochs_n, seconds_n = self.ahead([*busy], np.array([self._costs[t] for t in busy]))
        fits_m: Flags = left_m <= self._spendable.epochs - self._spent.epochs - epochs_n.sum()
        # Before any report nobody knows how long it takes.
        if self._paces:
            fits_m &= seconds_m <= self._spendable.seconds - self._spent.seconds - seconds_n.sum()
        return fits_m
