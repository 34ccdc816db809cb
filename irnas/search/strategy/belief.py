"""What a freeze-thaw search believes that every network will come to, from all that its trainings have told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from irnas.core.objective import Objective
from irnas.search.strategy.expected_hypervolume import Costs, Improvement
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.rung import Ladder
from irnas.search.strategy.surrogate import Curves, Surface

_MARGIN = 0.1
"""Of an axis's range: how far behind its worst value hypervolumes are measured from, as in a replay."""
_MIN_MARGIN = 0.01

# What is looked at is bounded, so that the ten thousandth decision costs no more than the thousandth. A replay on a
# table of a few hundred networks stays below all of these.
MAX_SEEN = 256
"""Trainings that the surface learns from."""
MAX_LINKED = 512
"""Trainings, the newest, that each link between two rungs is learnt from."""
MAX_TAKEN = 128
"""Networks at work, the newest, that narrow what is believed of their neighbours."""
MAX_BELIEVED = 4096
"""Networks of the pool of which something is believed; where it has more, those that matter."""

Beliefs = tuple[dict[str, float], dict[str, float]]
"""Network to mean, and to spread, of its final value, turned into 'larger is better'."""


class Outlook:
    """Final values where trainings have ended, beliefs where they have not."""

    def __init__(self, metric: Objective, ladder: Ladder, pool: Pool) -> None:
        """Begin without any training.

        Args:
            metric: what a training is judged by.
            ladder: what it was at each rung; kept by who observes.
            pool: the networks.
        """
        self._metric, self._ladder, self._pool = metric, ladder, pool
        self._keys: dict[int, str] = {}
        self._finals: dict[int, float] = {}
        self._edge: dict[int, tuple[float, Costs]] = {}
        """The front of what has ended: trial to final value and costs."""

    def end(self, trial: int, key: str, values: Mapping[str, float]) -> None:
        """Take note of the last values of a full training."""
        self._finals[trial] = self._gain(values)
        if key not in self._pool:
            return
        gain, costs = mine = self._finals[trial], self._pool[key].costs

        def covers(a: tuple[float, Costs], b: tuple[float, Costs]) -> bool:
            return a[0] >= b[0] and all(x <= y for x, y in zip(a[1], b[1], strict=True))

        if not any(covers(other, mine) for other in self._edge.values()):
            self._edge = {t: other for t, other in self._edge.items() if not covers(mine, other)}
            self._edge[trial] = gain, costs

    def begin(self, trial: int, key: str) -> None:
        """Take note of whose training a trial is."""
        self._keys[trial] = key

    def believe(self, options: Sequence[str], at_work: Sequence[str]) -> Beliefs | None:
        """Beliefs about each network of the pool, or, of a large one, of the options and what is at work; None before
        any training was seen."""
        newest = [dict(list(rung.items())[-MAX_LINKED:]) for rung in self._ladder.values]
        gains = [{t: self._gain(v) for t, v in rung.items()} for rung in newest]
        curves = Curves([*gains, dict(list(self._finals.items())[-MAX_LINKED:])])
        seen = self.seen()
        if not seen:
            return None
        mine = [self._keys[t] for t in seen]
        y_n, noise_n = np.array([self._end(t, curves) for t in seen]).T
        surface = Surface(self._pool.places(mine), self._pool.costs(mine), y_n, noise_n)
        at_work = [key for key in at_work if key in self._pool]
        keys = self._pool.keys if len(self._pool) <= MAX_BELIEVED else list(dict.fromkeys([*options, *at_work]))
        taken_td = self._pool.places(at_work[-MAX_TAKEN:])
        mean_m, spread_m = surface.predict(self._pool.places(keys), self._pool.costs(keys), taken_td)
        return dict(zip(keys, mean_m.tolist(), strict=True)), dict(zip(keys, spread_m.tolist(), strict=True))

    def seen(self) -> list[int]:
        """Trials to learn from: all that reached a rung or ended, or the front, the newest, and some of the others."""
        found = sorted(set(self._finals).union(*self._ladder.values))
        found = [t for t in found if self._keys[t] in self._pool]
        if len(found) <= MAX_SEEN:
            return found
        edge = sorted(self._edge)[-MAX_SEEN // 4 :]
        older, newer = found[: -MAX_SEEN // 2], found[-MAX_SEEN // 2 :]
        num = MAX_SEEN - len(newer) - len(edge)
        return sorted({*edge, *newer, *(older[i * len(older) // num] for i in range(num))})

    def improvement(self, mean_of: Mapping[str, float], at_work: Sequence[str]) -> Improvement:
        """The front of what has ended, and of what is at work as if it had ended as believed."""
        keys = [key for key in at_work if key in mean_of]
        front = [*self._edge.values(), *((mean_of[key], self._pool[key].costs) for key in keys)]
        low, high = min(mean_of.values()), max(mean_of.values())
        floor = low - max(_MARGIN * (high - low), _MIN_MARGIN)
        return Improvement(front, (floor, self._pool.worst(_MARGIN)))

    def value(self, gain: float) -> float:
        """A belief's mean as a value of the metric."""
        return gain if self._metric.goal == "max" else -gain

    def _gain(self, values: Mapping[str, float]) -> float:
        """The inverse of ``value``."""
        return -self._metric.position(values[self._metric.name])

    def _end(self, trial: int, curves: Curves) -> tuple[float, float]:
        """Mean and variance of a training's final value."""
        if trial in self._finals:
            return self._finals[trial], 0.0
        rung = self._ladder.height(trial) - 1
        return curves.final(rung, self._gain(self._ladder.values[rung][trial]))
