"""The model of freeze-thaw: what every network's metric will come to in the end, from all reports so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from irnas.core.objective import Objective
from irnas.search.strategy.expected_hypervolume import Costs, ExpectedHypervolumeImprovement
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.rung import Ladder
from irnas.search.strategy.surrogate import GaussianProcess, LearningCurveModel

_MARGIN = 0.1
"""Of an axis's range: how far behind its worst value hypervolumes are measured from, as in a simulation."""
_MIN_MARGIN = 0.01

# What is looked at is bounded, so that the ten thousandth decision costs no more than the thousandth. A simulation on
# a table of a few hundred networks stays below all of these.
MAX_TRAINING_SET = 256
"""Trainings that the Gaussian process learns from."""
MAX_LINKED = 512
"""Trainings, the newest, that each link between two rungs is learnt from."""
MAX_PENDING = 128
"""Pending networks, the newest, that narrow the posteriors of their neighbours."""
MAX_PREDICTED = 4096
"""Networks of the pool that are predicted; where it has more, those that matter."""


class Posterior(NamedTuple):
    """What is believed of final values, on an axis on which larger is better: network to figure."""

    mean: dict[str, float]
    standard_deviation: dict[str, float]


class FinalValueModel:
    """Knows the final values of trainings that have ended, and predicts those of all other networks."""

    def __init__(self, metric: Objective, ladder: Ladder, pool: Pool) -> None:
        """Begin without any training.

        Args:
            metric: what a training is judged by.
            ladder: the values at each rung; whoever observes reports keeps it up to date.
            pool: the networks.
        """
        self._metric, self._ladder, self._pool = metric, ladder, pool
        self._keys: dict[int, str] = {}
        self._finals: dict[int, float] = {}
        self._front: dict[int, tuple[float, Costs]] = {}
        """The front of what has ended: trial to final value and costs."""

    def start(self, trial: int, key: str) -> None:
        """Note that a trial trains the network with this key."""
        self._keys[trial] = key

    def finish(self, trial: int, key: str, values: Mapping[str, float]) -> None:
        """Learn the last values of a full training."""
        self._finals[trial] = self._axis_value(values)
        if key not in self._pool:
            return
        final, costs = point = self._finals[trial], self._pool[key].costs

        def covers(a: tuple[float, Costs], b: tuple[float, Costs]) -> bool:
            return a[0] >= b[0] and all(x <= y for x, y in zip(a[1], b[1], strict=True))

        if not any(covers(other, point) for other in self._front.values()):
            self._front = {t: other for t, other in self._front.items() if not covers(point, other)}
            self._front[trial] = final, costs

    def predict(self, options: Sequence[str], pending: Sequence[str]) -> Posterior | None:
        """Predict the final value of each network of the pool; None before any training was seen.

        Args:
            options: keys of the networks that are to be compared. Of a pool of more than ``MAX_PREDICTED`` networks
                only these and the pending ones are predicted.
            pending: keys of the networks that are being trained, in the order of their trials.
        """
        newest = [dict(list(rung.items())[-MAX_LINKED:]) for rung in self._ladder.values]
        rungs = [{t: self._axis_value(v) for t, v in rung.items()} for rung in newest]
        curves = LearningCurveModel([*rungs, dict(list(self._finals.items())[-MAX_LINKED:])])
        trials = self.training_set()
        if not trials:
            return None
        learnt_from = [self._keys[t] for t in trials]
        y_n, noise_n = np.array([self._final_of(t, curves) for t in trials]).T
        process = GaussianProcess(self._pool.places(learnt_from), self._pool.costs(learnt_from), y_n, noise_n)
        pending = [key for key in pending if key in self._pool]
        keys = self._pool.keys if len(self._pool) <= MAX_PREDICTED else list(dict.fromkeys([*options, *pending]))
        pending_td = self._pool.places(pending[-MAX_PENDING:])
        mean_m, deviation_m = process.predict(self._pool.places(keys), self._pool.costs(keys), pending_td)
        return Posterior(
            dict(zip(keys, mean_m.tolist(), strict=True)), dict(zip(keys, deviation_m.tolist(), strict=True))
        )

    def training_set(self) -> list[int]:
        """The trials to learn from: all that reached a rung or ended, or the front, the newest, and some others."""
        trials = sorted(set(self._finals).union(*self._ladder.values))
        trials = [t for t in trials if self._keys[t] in self._pool]
        if len(trials) <= MAX_TRAINING_SET:
            return trials
        front = sorted(self._front)[-MAX_TRAINING_SET // 4 :]
        older, newer = trials[: -MAX_TRAINING_SET // 2], trials[-MAX_TRAINING_SET // 2 :]
        num = MAX_TRAINING_SET - len(newer) - len(front)
        return sorted({*front, *newer, *(older[i * len(older) // num] for i in range(num))})

    def improvement_over(self, mean_of: Mapping[str, float], pending: Sequence[str]) -> ExpectedHypervolumeImprovement:
        """The expected improvement over the front of what has ended, and of what is pending as if it had come out at
        its mean."""
        keys = [key for key in pending if key in mean_of]
        front = [*self._front.values(), *((mean_of[key], self._pool[key].costs) for key in keys)]
        low, high = min(mean_of.values()), max(mean_of.values())
        floor = low - max(_MARGIN * (high - low), _MIN_MARGIN)
        return ExpectedHypervolumeImprovement(front, (floor, self._pool.worst(_MARGIN)))

    def metric_value(self, axis_value: float) -> float:
        """The value of the metric at a place of the axis on which larger is better."""
        return axis_value if self._metric.goal == "max" else -axis_value

    def _axis_value(self, values: Mapping[str, float]) -> float:
        """The inverse of ``metric_value``."""
        return -self._metric.position(values[self._metric.name])

    def _final_of(self, trial: int, curves: LearningCurveModel) -> tuple[float, float]:
        """Mean and variance of a training's final value."""
        if trial in self._finals:
            return self._finals[trial], 0.0
        rung = self._ladder.height(trial) - 1
        return curves.predict(rung, self._axis_value(self._ladder.values[rung][trial]))
