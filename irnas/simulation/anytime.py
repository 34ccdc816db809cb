"""What a search has reached at any time: how much of the front, how near to it, and what it attains at each cost.

Each figure is that of many searches, as the median and the quartiles on one grid of costs. A search that has ended
keeps what it has.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import SettingsError
from irnas.core.front import Bounds, Front
from irnas.core.objective import Objective
from irnas.core.result import Result
from irnas.simulation.simulator import Arena, Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A figure over searches, at each place of a grid."""

    low: tuple[float, ...]
    """The lower quartile."""
    median: tuple[float, ...]
    high: tuple[float, ...]
    """The upper quartile."""


def grid(runs: Sequence[Trajectory], num: int = 60) -> tuple[float, ...]:
    """``num`` costs, evenly spread on a logarithmic axis, from the first network of any search to the last one.

    Raises:
        SettingsError: no search trained a network to its end.
    """
    billed = [m.billed for run in runs for m in run.moments]
    if not billed:
        raise SettingsError("curves: got searches that trained nothing to its end; must be one network at least")
    return tuple(np.geomspace(min(billed), max(billed), num).tolist())


def regret(runs: Sequence[Trajectory], costs: Sequence[float]) -> Band:
    """Hypervolume regret, 0..1: the share of the table's hypervolume that is missing when so much has been paid."""
    return _along(runs, costs, [[1 - m.share for m in run.moments] for run in runs], 1.0)


def shortfall(runs: Sequence[Trajectory], arenas: Sequence[Arena], costs: Sequence[float]) -> Band:
    """IGD+ from the front that was reached to the table's own; the diagonal of the box before anything was.

    Args:
        runs: searches.
        arenas: what each was driven over.
        costs: in full trainings, the strategies' own time included.
    """
    distances = []
    for run, arena in zip(runs, arenas, strict=True):
        target_nk = places(arena.front.results, arena.objectives, arena.bounds)
        distances.append(
            [igd_plus(places(f.results, arena.objectives, arena.bounds), target_nk) for f in fronts(run, arena)]
        )
    return _along(runs, costs, distances, math.sqrt(len(arenas[0].objectives)))


def attainment(
    runs: Sequence[Trajectory],
    arenas: Sequence[Arena],
    pair: tuple[Objective, Objective],
    levels: Sequence[float],
    cost: float = math.inf,
) -> Band:
    """The best value of one objective among networks that have a level of another one, when ``cost`` has been paid.

    Args:
        runs: searches.
        arenas: what each was driven over.
        pair: the objective of the levels, and the one that is attained.
        levels: values of the first.
        cost: in full trainings, the strategies' own time included.

    Returns:
        Positions on the second axis turned into "larger is better" (``-Objective.position``), minus infinity where
        nothing is attained: ``low`` by three in four searches or more, ``median`` by half, ``high`` by one in four. No
        value between those of two searches, which nobody attained.

    Source: the empirical attainment function, V. Grunert da Fonseca, C. Fonseca, A. Hall, 2001.
    """
    rows = []
    for run, arena in zip(runs, arenas, strict=True):
        paid = [m for m in run.moments if m.billed <= cost]
        rows.append(_best([arena.truth(m.key, m.trial) for m in paid], pair, levels))
    return _attained(rows)


def attainable(arenas: Sequence[Arena], pair: tuple[Objective, Objective], levels: Sequence[float]) -> Band:
    """What searches attain that know all of the table: no search can exceed it. ``attainment`` says the rest."""
    return _attained([_best(arena.front.results, pair, levels) for arena in arenas])


def _best(results: Sequence[Result], pair: tuple[Objective, Objective], levels: Sequence[float]) -> list[float]:
    x, y = pair
    spots = sorted((x.position(r.values[x.name]), -y.position(r.values[y.name])) for r in results)
    best: list[float] = list(itertools.accumulate((gain for _, gain in spots), max, initial=-math.inf))
    at = [position for position, _ in spots]
    return [best[bisect.bisect_right(at, x.position(level))] for level in levels]


def _attained(rows: Sequence[Sequence[float]]) -> Band:
    ordered = [sorted(column, reverse=True) for column in zip(*rows, strict=True)]
    low, median, high = (tuple(c[math.ceil(k * len(rows)) - 1] for c in ordered) for k in (0.75, 0.5, 0.25))
    return Band(low=low, median=median, high=high)


def fronts(run: Trajectory, arena: Arena) -> list[Front]:
    """The front after each of a search's moments, as it is scored."""
    sequence: list[Front] = []
    for moment in run.moments:
        before = sequence[-1].results if sequence else ()
        sequence.append(Front.of([*before, arena.truth(moment.key, moment.trial)], arena.objectives))
    return sequence


def places(results: Sequence[Result], objectives: Sequence[Objective], bounds: Bounds) -> Array:
    """Where results lie in the box, [N, K]: 0 at the best, 1 at the worst, costs on a logarithmic axis."""
    corner_k2 = np.array([[o.position(v) for v in bounds[o.name]] for o in objectives])
    place_nk = np.array([[o.position(r.values[o.name]) for o in objectives] for r in results])
    unit_nk: Array = (place_nk.reshape(-1, len(objectives)) - corner_k2[:, 0]) / (corner_k2[:, 1] - corner_k2[:, 0])
    return unit_nk


def igd_plus(front_nk: Array, target_mk: Array) -> float:
    """Mean distance from each point of a target to what of it the front leaves unattained; smaller is better.

    Source: H. Ishibuchi et al., "Modified distance calculation in generational distance and inverted generational
    distance", 2015, equations 16 and 18.
    """
    behind_mnk = np.maximum(front_nk[None, :, :] - target_mk[:, None, :], 0.0)
    return float(np.sqrt((behind_mnk**2).sum(axis=2)).min(axis=1).mean())


def _along(
    runs: Sequence[Trajectory], costs: Sequence[float], values: Sequence[Sequence[float]], before: float
) -> Band:
    """The band of figures that hold from one moment to the next; ``before`` holds until the first."""
    rows = []
    for run, figures in zip(runs, values, strict=True):
        paid = [m.billed for m in run.moments]
        steps = [before, *figures]
        rows.append([steps[bisect.bisect_right(paid, cost)] for cost in costs])
    low, median, high = np.quantile(np.array(rows), (0.25, 0.5, 0.75), axis=0).tolist()
    return Band(low=tuple(low), median=tuple(median), high=tuple(high))
