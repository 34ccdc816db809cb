"""Compares strategies on one table: what each pays for a share of the front."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from irnas.core.errors import SettingsError
from irnas.core.objective import Objective
from irnas.search.strategy.catalogue import UNCACHED, make_strategy
from irnas.simulation.simulator import Arena, Trajectory, replay
from irnas.simulation.table import Table

SHARES = (90, 95, 98, 99)
"""Percent of the hypervolume of the table's own front."""

_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCost:
    """What a share of the front costs, in full trainings and with the strategy's own time, over the seeds."""

    median: float | None
    """None where half of the searches or more never got there."""
    low: float | None
    high: float | None
    """The bootstrap interval of the median, at 95 %."""
    reached: float
    """Share of the searches that got there, 0..1."""
    trained: float | None
    """The median without the strategy's own time: the same on every machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the searches of a strategy came to."""

    costs: dict[int, ShareCost]
    """For each of ``SHARES``."""
    clock: dict[int, float | None]
    """Median simulated seconds until then."""
    decision_ms: float
    """The strategy's own CPU time for each network it started, on this machine."""


def run_searches(
    table: Table,
    names: Sequence[str],
    objectives: tuple[Objective, ...],
    *,
    seeds: int,
    workers: int = 1,
    jobs: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, list[Trajectory]]:
    """Search ``table`` with each strategy and each seed of 0..``seeds``, in that order; a seed is also the replica.

    Args:
        table: what is searched.
        names: strategies.
        objectives: what is optimised.
        seeds: searches with each.
        workers: simulated trials at the same time.
        jobs: searches that are computed at the same time, each in a process of its own where there are several.
        progress: called after each search.

    Raises:
        SettingsError: an unknown strategy or objective, a strategy that cannot search these objectives, or ``jobs``
            below 1, or processes of which one died.
    """
    if jobs < 1:
        raise SettingsError(f"jobs: got {jobs}; must be at least 1")
    names = list(dict.fromkeys(names))
    tasks = [(name, seed) for seed in range(seeds) for name in names]
    runs_of: dict[str, list[Trajectory]] = {name: [] for name in names}
    with _mapper(_Searcher(table=table, objectives=objectives, workers=workers), min(jobs, len(tasks))) as map_tasks:
        for (name, _), run in zip(tasks, map_tasks(tasks), strict=True):
            runs_of[name].append(run)
            progress()
    return runs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searcher:
    """Runs one search; holds what all searches of a comparison share."""

    table: Table
    objectives: tuple[Objective, ...]
    workers: int

    def search(self, name: str, seed: int) -> Trajectory:
        arena = Arena(table=self.table, objectives=self.objectives, replica=seed)
        strategy = make_strategy(name, arena.problem(seed))
        until = max(SHARES) / 100
        return replay(strategy, arena, workers=self.workers, until=until, pays_repeats=UNCACHED in name)


_Task = tuple[str, int]


@contextmanager
def _mapper(searcher: _Searcher, jobs: int) -> Iterator[Callable[[Sequence[_Task]], Iterator[Trajectory]]]:
    """A function that runs tasks and yields their searches in the order of the tasks."""
    if jobs <= 1:
        yield lambda tasks: (searcher.search(*task) for task in tasks)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # A program whose main module runs when it is imported would start itself again and again, and wait for ever.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SettingsError(f"jobs: got {jobs} in a program without a guard of its main; must be 1 there")
    # Not forked: this process may have threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        # The table goes with each task: as an argument of a process that dies early it would be waited for for ever.
        yield lambda tasks: pool.map(searcher.search, *zip(*tasks, strict=True))
    except BrokenProcessPool:
        raise SettingsError(f"jobs: got {jobs}, and a process of them died; must be fewer, or 1") from None
    finally:
        pool.shutdown(cancel_futures=True)


def summarise(runs: Sequence[Trajectory]) -> Standing:
    """Summarise the searches of one strategy."""
    share_costs, clock = {}, {}
    for percent in SHARES:
        costs = [_infinite_if_none(run.billed_to(percent / 100)) for run in runs]
        low, high = _interval(costs)
        reached = sum(not math.isinf(c) for c in costs) / len(costs)
        trained = _none_if_infinite(statistics.median(_infinite_if_none(run.cost_to(percent / 100)) for run in runs))
        share_costs[percent] = ShareCost(
            median=_none_if_infinite(statistics.median(costs)), low=low, high=high, reached=reached, trained=trained
        )
        seconds = statistics.median(_infinite_if_none(run.seconds_to(percent / 100)) for run in runs)
        clock[percent] = _none_if_infinite(seconds)
    num_started, decided_s = sum(run.started for run in runs), sum(run.decided_seconds for run in runs)
    return Standing(costs=share_costs, clock=clock, decision_ms=1000 * decided_s / max(num_started, 1))


def _interval(costs: Sequence[float]) -> tuple[float | None, float | None]:
    """The percentile bootstrap of the median. B. Efron, R. Tibshirani, 1993, section 13.3."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(costs, k=len(costs))) for _ in range(_RESAMPLES))
    tail = round((1 - _LEVEL) / 2 * _RESAMPLES)
    return _none_if_infinite(medians[tail]), _none_if_infinite(medians[-1 - tail])


def _infinite_if_none(cost: float | None) -> float:
    return math.inf if cost is None else cost


def _none_if_infinite(cost: float) -> float | None:
    return None if math.isinf(cost) else cost
