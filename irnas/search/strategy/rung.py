"""The rungs of a training: the epochs at which a strategy decides whether it goes on."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence

from irnas.core.errors import SettingsError


def rungs(epochs: int, grace_period: int | None = None, reduction_factor: int = 3) -> tuple[int, ...]:
    """The epochs at which trainings halt, in order.

    They are a ninth and a third of ``epochs``, with a ``reduction_factor`` of 3. With a ``grace_period``, they are the
    grace period and its multiples by powers of the factor. None lies past half of ``epochs`` but the grace period
    itself: so late a halt saves less than it has cost.

    Raises:
        SettingsError: ``grace_period`` below 1 or ``reduction_factor`` below 2.
    """
    if (grace_period is not None and grace_period < 1) or reduction_factor < 2:
        raise SettingsError(
            f"rungs: got grace_period {grace_period} and reduction_factor {reduction_factor}; must be at least 1 and 2"
        )
    if grace_period is None:
        halts = [math.ceil(epochs / reduction_factor**2), math.ceil(epochs / reduction_factor)]
    else:
        multiples = [grace_period * reduction_factor**i for i in range(epochs)]
        halts = [epoch for i, epoch in enumerate(multiples) if i == 0 or 2 * epoch <= epochs]
    return tuple(sorted({epoch for epoch in halts if epoch < epochs}))


class Ladder:
    """Keeps the values that each trial had at each rung."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = tuple(steps)
        self.values: tuple[dict[int, Mapping[str, float]], ...] = tuple({} for _ in self.steps)
        """For each rung, trial to its values at the first report from that epoch on."""
        self._ordered: tuple[list[int], ...] = tuple([] for _ in self.steps)

    def climb(self, trial: int, epoch: int, values: Mapping[str, float]) -> int | None:
        """Note a report; return the highest rung that the trial reaches with it, None where it reaches no new one."""
        reached = None
        for rung, (step, known) in enumerate(zip(self.steps, self.values, strict=True)):
            if epoch >= step and trial not in known:
                known[trial] = dict(values)
                bisect.insort(self._ordered[rung], trial)
                reached = rung
        return reached

    def reached(self, rung: int, most: int | None = None) -> list[int]:
        """The trials that reached a rung, by number; of more than ``most`` only the highest."""
        trials = self._ordered[rung]
        return trials[-most:] if most else trials[:]

    def height(self, trial: int) -> int:
        """How many rungs the trial has reached."""
        return sum(trial in known for known in self.values)
