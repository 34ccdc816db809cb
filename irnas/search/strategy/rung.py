"""The rungs of a training: the epochs at which a strategy decides whether it goes on."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence

from irnas.core.errors import SettingsError


def rungs(epochs: int, grace_period: int | None = None, factor: int = 3) -> tuple[int, ...]:
    """A ninth and a third of ``epochs``, with a ``factor`` of 3; or ``grace_period``, if given, and its multiples.

    None lies past half of ``epochs`` but ``grace_period`` itself: so late a halt saves less than it has cost.

    Raises:
        SettingsError: ``grace_period`` below 1 or ``factor`` below 2.
    """
    if (grace_period is not None and grace_period < 1) or factor < 2:
        raise SettingsError(f"rungs: got grace_period {grace_period} and factor {factor}; must be at least 1 and 2")
    if grace_period is None:
        found = [math.ceil(epochs / factor**2), math.ceil(epochs / factor)]
    else:
        found = [grace_period * factor**i for i in range(epochs) if i == 0 or 2 * grace_period * factor**i <= epochs]
    return tuple(sorted({epoch for epoch in found if epoch < epochs}))


class Ladder:
    """Which trial was how good at which rung."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = tuple(steps)
        self.values: tuple[dict[int, Mapping[str, float]], ...] = tuple({} for _ in self.steps)
        """For each rung, trial to its values at the first report from that epoch on."""
        self._ordered: tuple[list[int], ...] = tuple([] for _ in self.steps)

    def climb(self, trial: int, epoch: int, values: Mapping[str, float]) -> int | None:
        """Note a report; the highest rung that the trial reaches with it, None where it reaches no new one."""
        reached = None
        for rung, (step, known) in enumerate(zip(self.steps, self.values, strict=True)):
            if epoch >= step and trial not in known:
                known[trial] = dict(values)
                bisect.insort(self._ordered[rung], trial)
                reached = rung
        return reached

    def reached(self, rung: int, most: int | None = None) -> list[int]:
        """The trials that reached a rung, by number; of more than ``most`` only the highest."""
        found = self._ordered[rung]
        return found[-most:] if most else found[:]

    def height(self, trial: int) -> int:
        """How many rungs the trial has reached."""
        return sum(trial in known for known in self.values)
