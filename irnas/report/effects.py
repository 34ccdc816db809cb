"""What each axis does to what a network reaches, with its noise: from a run's record, or a table of trainings.

Networks are grouped by their value of an axis. Three shares of variance stand side by side (see ``groups``): that of
the metric, that of the metric at equal cost, and that of the cost. The second is of what a line through the logarithms
of all costs leaves of the metric: an axis that makes networks better by making them dearer has a large first share and
a small second one. Chance has its own level: what the luckiest axis reaches in 19 of 20 cases where the values are
dealt out to the networks at random.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import SettingsError
from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.result import Status
from irnas.core.space import Genotype, Space
from irnas.record.run import Run
from irnas.report.groups import Groups
from irnas.report.network import choice, differing
from irnas.simulation.table import Table

MIN_NETWORKS = 8
"""Fewer say nothing about an axis."""
_SHUFFLES, _LEVEL, _RIDGE = 200, 0.95, 1e-6

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Networks that were trained in the same way."""

    space: Space
    genotypes: Sequence[Genotype]
    values: Mapping[str, Sequence[float]]
    """Objective to the value of each network; means where one was trained several times."""
    repeats: Sequence[Sequence[float]]
    """Of each network that was trained several times, the metric of each training."""
    metric: Objective
    """What the networks are judged by."""
    costs: Sequence[Objective]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The networks that share one value of an axis."""

    value: str
    mean: float
    """Of the metric."""
    error: float
    """Standard error of that mean; NaN for a single network."""
    num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisEffect:
    """What one axis does."""

    axis: str
    share: float
    """Of the variance of the metric, 0..1."""
    share_at_cost: float
    """The same of what the costs do not explain of it."""
    share_of_cost: float
    """Of the variance of the cost that it explains most of."""
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What all axes of a sample do, the strongest at equal cost first."""

    metric: str
    num: int
    """Networks."""
    axes: tuple[AxisEffect, ...]
    chance: float
    """What the luckiest of so many axes explains of the metric in 19 of 20 cases by chance alone, 0..1."""
    chance_at_cost: float
    """The same at equal cost."""
    deviation: float | None
    """Standard deviation of the metric between trainings of one network; None where none was trained twice."""
    explainable: float | None
    """The share of the variance of the metric, 0..1, that is not that noise; None where it is not known."""


def sample_of_run(run: Run) -> Sample:
    """The networks that a run trained to the end.

    Raises:
        SettingsError: the run has no objective that takes training.
    """
    metric = next((o for o in run.objectives if not o.is_free), None)
    if metric is None:
        raise SettingsError(f"run {run.uri}: got no objective that takes training; must have one")
    done, costs = run.done, [o for o in run.objectives if o.is_free]
    own = {r.trial: r.values[metric.name] for r in run.outcomes if r.status is Status.OK}
    repeats = [
        [own[t.number], *(r.values[metric.name] for r in t.replicates)] for t in run.trials.values() if t.statistics
    ]
    return Sample(
        space=run.space,
        genotypes=[r.genotype for r in done],
        values={o.name: [r.values[o.name] for r in done] for o in run.objectives},
        repeats=repeats,
        metric=metric,
        costs=costs,
    )


def sample_of_table(table: Table, metric: str = "miou") -> Sample:
    """The networks of a table of trainings, with the means of their last values over the seeds.

    Raises:
        SettingsError: the table has no such metric.
    """
    if metric not in table.metrics:
        raise SettingsError(f"metric: got {metric!r}; one of {', '.join(sorted(table.metrics & OBJECTIVES.keys()))}")
    finals = [[curve[-1].values[metric] for curve in point.curves.values()] for point in table.points]
    costs = [OBJECTIVES[name] for name in sorted(table.points[0].free) if name in ("ops", "params")]
    return Sample(
        space=table.space,
        genotypes=[point.genotype for point in table.points],
        values={
            metric: [statistics.fmean(each) for each in finals],
            **{o.name: [point.free[o.name] for point in table.points] for o in costs},
        },
        repeats=[each for each in finals if len(each) > 1],
        metric=OBJECTIVES[metric],
        costs=costs,
    )


def effects_of(sample: Sample) -> Effects:
    """What the axes do, on which the networks of a sample differ.

    Raises:
        SettingsError: fewer than ``MIN_NETWORKS`` networks.
    """
    if len(sample.genotypes) < MIN_NETWORKS:
        raise SettingsError(f"axes: got {len(sample.genotypes)} trained networks; must be at least {MIN_NETWORKS}")
    name = sample.metric.name
    value_n = _centred([sample.metric.position(v) for v in sample.values[name]])
    cost_kn = [_centred([o.position(v) for v in sample.values[o.name]]) for o in sample.costs]
    rest_n = _rest(value_n, cost_kn)
    axes = differing(sample.genotypes, sample.space)
    groups_of = {axis: Groups([choice(g, axis) for g in sample.genotypes]) for axis in axes}
    effects = [
        AxisEffect(
            axis=axis,
            share=groups.explained(value_n),
            share_at_cost=groups.explained(rest_n),
            share_of_cost=max((groups.explained(cost_n) for cost_n in cost_kn), default=0.0),
            levels=_levels(sample, axis),
        )
        for axis, groups in groups_of.items()
    ]
    deviation = _deviation(sample.repeats)
    return Effects(
        metric=name,
        num=len(sample.genotypes),
        axes=tuple(sorted(effects, key=lambda effect: (-effect.share_at_cost, -effect.share, effect.axis))),
        chance=_chance(list(groups_of.values()), value_n),
        chance_at_cost=_chance(list(groups_of.values()), rest_n),
        deviation=deviation,
        explainable=_explainable(sample, deviation),
    )


def _centred(positions: Sequence[float]) -> Array:
    values_n = np.array(positions, dtype=np.float64)
    return np.asarray(values_n - values_n.mean())


def _rest(value_n: Array, cost_kn: Sequence[Array]) -> Array:
    """What a line through the costs leaves; everything where there is no cost."""
    if not cost_kn:
        return value_n
    basis_nk = np.stack(cost_kn, axis=1)
    gram_kk = basis_nk.T @ basis_nk
    # A little, for costs that are proportional to each other, or the same for all.
    ridge_kk = (_RIDGE * np.trace(gram_kk) + _RIDGE) * np.eye(len(gram_kk))
    return np.asarray(value_n - basis_nk @ np.linalg.solve(gram_kk + ridge_kk, basis_nk.T @ value_n))


def _levels(sample: Sample, axis: str) -> tuple[Level, ...]:
    members: dict[str, list[float]] = defaultdict(list)
    for genotype, value in zip(sample.genotypes, sample.values[sample.metric.name], strict=True):
        members[choice(genotype, axis)].append(value)
    return tuple(
        Level(
            value=value,
            mean=statistics.fmean(each),
            error=statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else math.nan,
            num=len(each),
        )
        for value, each in sorted(members.items(), key=lambda item: _order(item[0]))
    )


def _order(value: str) -> tuple[int, float, str]:
    """Numbers by their size, ahead of words."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def _chance(columns: Sequence[Groups], value_n: Array) -> float:
    rng, order, luckiest = random.Random(0), list(range(len(value_n))), []
    for _ in range(_SHUFFLES):
        rng.shuffle(order)
        luckiest.append(max((column.explained(value_n[order]) for column in columns), default=0.0))
    return sorted(luckiest)[int(_LEVEL * _SHUFFLES)]


def _deviation(repeats: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation within networks, pooled."""
    degrees = sum(len(each) - 1 for each in repeats)
    if not degrees:
        return None
    return math.sqrt(sum(statistics.variance(each) * (len(each) - 1) for each in repeats) / degrees)


def _explainable(sample: Sample, deviation: float | None) -> float | None:
    """Of the variance between networks, what is left when the noise of their means is taken off."""
    values = sample.values[sample.metric.name]
    total = statistics.variance(values)
    # Only where all were trained as often is one noise in all of them.
    counts = {len(each) for each in sample.repeats}
    if deviation is None or total <= 0 or len(counts) != 1 or len(sample.repeats) != len(values):
        return None
    return min(max(1 - deviation**2 / counts.pop() / total, 0.0), 1.0)
