"""The non-dominated set of a run, and how much of the objective box it covers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irnas.core.errors import SettingsError
from irnas.core.objective import Objective
from irnas.core.requirement import Requirement, violation
from irnas.core.result import Result, Status

Bounds = Mapping[str, tuple[float, float]]
"""Objective name to (best, worst) value: the box in which hypervolumes are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Results of which none is at least as good as another in every objective and better in one."""

    objectives: tuple[Objective, ...]
    results: tuple[Result, ...]
    """Sorted by key."""
    is_feasible: bool = True
    """Whether they meet what was required; where none does, they are those that miss it least."""

    @classmethod
    def of(
        cls, results: Sequence[Result], objectives: Sequence[Objective], requirements: Sequence[Requirement] = ()
    ) -> Front:
        """The front of the finished trials among ``results``.

        Only trials with status ok count: a stopped, rejected or failed trial is passed over. Of networks that started
        from others' weights the front holds what their lines have come to, in whatever number of epochs. Of those that
        meet all requirements, if any does; else of those that miss them least.

        Raises:
            SettingsError: results of two data revisions or two budgets, two results of one key, or a missing or
                non-finite objective.
        """
        done = sorted((r for r in results if r.status is Status.OK), key=lambda r: r.key)
        for what, values in (
            ("data revision", {r.data_rev for r in done}),
            ("number of epochs", {str(r.epochs) for r in done if r.heritage is None}),
        ):
            if len(values) > 1:
                raise SettingsError(
                    f"front: got results of more than one {what} ({', '.join(sorted(values))}); must be one"
                )
        for first, second in itertools.pairwise(done):
            if first.key == second.key:
                raise SettingsError(f"front: got two results of {first.key}; must be one each")
        missed = [violation(requirements, r.values) for r in done]
        least = min(missed, default=0.0)
        done = [r for r, each in zip(done, missed, strict=True) if each == least]
        losses = [_losses(r, objectives) for r in done]
        kept = tuple(r for r, mine in zip(done, losses, strict=True) if not any(_dominates(o, mine) for o in losses))
        return cls(objectives=tuple(objectives), results=kept, is_feasible=not least)

    def hypervolume(self, bounds: Bounds) -> float:
        """The share, 0..1, of the box between worst and best that the front dominates.

        Costs count on a logarithmic axis. Equal boxes make two fronts comparable; values beyond the box are clipped.
        A front that misses what was required dominates nothing.
        """
        if not self.results or not self.is_feasible:
            return 0.0
        import moocore

        points = np.array([[_share(o, r.values[o.name], bounds) for o in self.objectives] for r in self.results])
        return float(moocore.hypervolume(points, ref=np.ones(len(self.objectives))))


def _losses(result: Result, objectives: Sequence[Objective]) -> tuple[float, ...]:
    for objective in objectives:
        value = result.values.get(objective.name)
        if value is None or not math.isfinite(value):
            raise SettingsError(f"front: got {objective.name}={value} in {result.key}; must be a finite number")
    return tuple(o.loss(result.values[o.name]) for o in objectives)


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _share(objective: Objective, value: float, bounds: Bounds) -> float:
    """0 at the best bound, 1 at the worst."""
    best, worst = (objective.position(v) for v in bounds[objective.name])
    if worst <= best:
        raise SettingsError(f"bounds of {objective.name}: got {bounds[objective.name]}; the first must be the better")
    return min(max((objective.position(value) - best) / (worst - best), 0.0), 1.0)
