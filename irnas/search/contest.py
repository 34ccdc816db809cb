"""Strategies against each other on one table: what each pays for a share of the front."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from irnas.objective import Objective
from irnas.search.replay import Arena, Trajectory, replay
from irnas.search.strategy.named import UNCACHED, named
from irnas.search.table import Table

SHARES = (90, 95, 98, 99)
"""Percent of the hypervolume of the table's own front."""

_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a share of the front cost, in full trainings, over the seeds."""

    median: float | None
    """None where half of the searches or more never got there."""
    low: float | None
    high: float | None
    """The bootstrap interval of the median, at 95 %."""
    reached: float
    """Share of the searches that got there, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a strategy did."""

    prices: dict[int, Price]
    """For each of ``SHARES``."""
    clock: dict[int, float | None]
    """Median simulated seconds until then."""
    decision_ms: float
    """The strategy's own time for each network it started, on this machine; not billed."""


def contest(
    table: Table,
    names: Sequence[str],
    objectives: tuple[Objective, ...],
    *,
    seeds: int,
    workers: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Standing]:
    """Search ``table`` with each strategy and each seed of 0..``seeds``; ``progress`` is called after each search.

    Raises:
        SettingsError: an unknown strategy or objective, or a strategy that cannot search these objectives.
    """
    runs: dict[str, list[Trajectory]] = {name: [] for name in names}
    spent = dict.fromkeys(names, 0.0)
    for seed in range(seeds):
        arena = Arena(table=table, objectives=objectives, replica=seed)
        for name in runs:
            started = time.perf_counter()
            strategy = named(
                name, arena.space, objectives, arena.price, epochs=table.epochs, num_trials=len(table.points), seed=seed
            )
            run = replay(strategy, arena, workers=workers, until=max(SHARES) / 100, pays_repeats=UNCACHED in name)
            spent[name] += time.perf_counter() - started
            runs[name].append(run)
            progress()
    return {name: _standing(found, spent[name]) for name, found in runs.items()}


def _standing(runs: Sequence[Trajectory], spent: float) -> Standing:
    prices, clock = {}, {}
    for percent in SHARES:
        costs = [_or_never(run.cost_to(percent / 100)) for run in runs]
        low, high = _interval(costs)
        reached = sum(not math.isinf(c) for c in costs) / len(costs)
        prices[percent] = Price(median=_known(statistics.median(costs)), low=low, high=high, reached=reached)
        clock[percent] = _known(statistics.median(_or_never(run.seconds_to(percent / 100)) for run in runs))
    started = sum(run.started for run in runs)
    return Standing(prices=prices, clock=clock, decision_ms=1000 * spent / max(started, 1))


def _interval(costs: Sequence[float]) -> tuple[float | None, float | None]:
    """The percentile bootstrap of the median. B. Efron, R. Tibshirani, 1993, section 13.3."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(costs, k=len(costs))) for _ in range(_RESAMPLES))
    tail = round((1 - _LEVEL) / 2 * _RESAMPLES)
    return _known(medians[tail]), _known(medians[-1 - tail])


def _or_never(cost: float | None) -> float:
    return math.inf if cost is None else cost


def _known(cost: float) -> float | None:
    return None if math.isinf(cost) else cost
