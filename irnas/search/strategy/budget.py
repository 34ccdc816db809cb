"""What a search has paid for trainings, what the next ones will take, and which of them it can still finish."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from irnas.core.settings import ENDLESS, TotalBudget
from irnas.record.tally import TrainingTally
from irnas.search.strategy.surrogate import EpochTimeModel

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_TIMED = 512
"""Trainings, the newest, that the time of an epoch is learnt from."""


class BudgetTracker:
    """Counts epochs and seconds, and predicts what trainings still take.

    A training that does not come to its end buys nothing, so a budget pays only for trainings that it can finish. An
    epoch takes as long as those that the training has behind it; before the first one it takes what ``EpochTimeModel``
    predicts from the position of the network's first cost.
    """

    def __init__(self, total_budget: TotalBudget, epochs: int) -> None:
        """Begin with all of ``total_budget``, and full trainings of so many ``epochs``."""
        self._total_budget, self._epochs = total_budget, epochs
        self._tally = TrainingTally()
        self._costs: dict[int, float] = {}
        self._epoch_seconds: dict[int, float] = {}
        """Seconds an epoch, of each trial that has reported some, in the order of their first reports."""

    @property
    def is_endless(self) -> bool:
        """Whether there is no budget."""
        return self._total_budget == ENDLESS

    def start(self, trial: int, cost: float) -> None:
        """Expect reports of a trial, of whose network the first cost lies at the position ``cost``."""
        self._costs[trial] = cost

    def add_report(self, trial: int, epoch: int, seconds: float) -> None:
        """Count a report: the trial has trained ``epoch`` epochs, in ``seconds`` since it was last started."""
        self._tally.add(trial, epoch, seconds)
        epoch_seconds = self._tally.seconds_per_epoch(trial)
        if epoch_seconds is not None:
            self._epoch_seconds[trial] = epoch_seconds

    def remaining(self, trials: Sequence[int | None], cost_m: Array) -> tuple[Array, Array]:
        """Epochs that are left of each of ``M`` trainings, and the seconds that they will take.

        Args:
            trials: their numbers; None is one that has not begun.
            cost_m: positions of the first costs of their networks.
        """
        reached_m = np.array([0 if t is None else self._tally.epochs_of(t) for t in trials])
        # Of a training that has reached its last epoch the result is still missing.
        epochs_m = np.maximum(self._epochs - reached_m, 1)
        own_m = np.array([math.nan if t is None else self._epoch_seconds.get(t, math.nan) for t in trials])
        newest = list(self._epoch_seconds.items())[-MAX_TIMED:]
        model = EpochTimeModel([(self._costs[t], epoch_seconds) for t, epoch_seconds in newest])
        return epochs_m, epochs_m * np.where(np.isnan(own_m), model.predict(cost_m), own_m)

    def in_scarce_unit(self, epochs_m: Array, seconds_m: Array) -> Array:
        """What such trainings take of what is scarce: epochs where only they are limited, else seconds."""
        counts_epochs = math.isfinite(self._total_budget.epochs) and math.isinf(self._total_budget.seconds)
        return epochs_m if counts_epochs else seconds_m

    def can_finish(self, epochs_m: Array, seconds_m: Array, pending: Collection[int]) -> Flags:
        """Whether the budget can finish each of ``M`` trainings, once all pending trials have finished.

        Args:
            epochs_m: epochs that are left of each.
            seconds_m: seconds that they will take.
            pending: trials that are being trained.
        """
        epochs_p, seconds_p = self.remaining([*pending], np.array([self._costs[t] for t in pending]))
        fits_m: Flags = epochs_m <= self._total_budget.epochs - self._tally.epochs - epochs_p.sum()
        # Before any report nobody knows how long it takes.
        if self._epoch_seconds:
            fits_m &= seconds_m <= self._total_budget.seconds - self._tally.seconds - seconds_p.sum()
        return fits_m
