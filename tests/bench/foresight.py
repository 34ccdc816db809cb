"""What a table leaves to be won: the bill of a search that knows all final values of its seed beforehand.

    python tests/bench/foresight.py [--bench docs/bench/biisnet-nudt-bits.parquet]

A search of a table sees one seed and is judged by the others. This one knows every final value of the seed that it sees
and trains first what adds the most expected hypervolume a second. ``as seen`` takes those values at their word; for
``smoothed`` the Gaussian process of freeze-thaw tells luck from merit first. No real search knows either, so what they
pay says what the table's noise leaves to be won, whatever the strategy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Result
from irnas.search.strategy import Decision, History
from irnas.search.strategy.expected_hypervolume import ExpectedHypervolumeImprovement
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.surrogate import GaussianProcess
from irnas.simulation.comparison import SHARES
from irnas.simulation.simulator import Arena, replay
from irnas.simulation.table import Table, read


class Foresight:
    """A ``Strategy`` that knows the arena's final values."""

    def __init__(self, arena: Arena, *, is_smooth: bool) -> None:
        free = [o for o in arena.objectives if o.is_free]
        self._metric = next(o.name for o in arena.objectives if not o.is_free)
        pool = Pool(arena.space, free, arena.price, size=len(arena.table.points), seed=0, limits={})
        self._left = list(pool.keys)
        self._pool, self._arena, self._num = pool, arena, 0
        places_md, cost_mk = pool.places(self._left), pool.costs(self._left)
        y_m = np.array([arena.visible_curve(key)[-1].values[self._metric] for key in self._left])
        luck = deviation(arena.table, self._metric)
        if is_smooth:
            process = GaussianProcess(places_md, cost_mk, y_m, np.full(len(y_m), luck**2))
            y_m, _ = process.predict(places_md, cost_mk)
        self._mean = dict(zip(self._left, y_m.tolist(), strict=True))
        self._deviation, self._worst = luck, (float(y_m.min()) - 0.02, pool.worst(0.1))
        self._front: list[tuple[float, tuple[float, ...]]] = []

    def ask(self) -> Proposal | None:
        """The network of the most expected improvement a second."""
        if not self._left:
            return None
        mean_m = np.array([self._mean[key] for key in self._left])
        seconds_m = np.array([self._arena.visible_curve(key)[-1].seconds for key in self._left])
        improvement = ExpectedHypervolumeImprovement(self._front, self._worst)
        expected_m = improvement.expected(mean_m, np.full(len(mean_m), self._deviation), self._pool.costs(self._left))
        key = self._left.pop(int((expected_m / seconds_m).argmax()))
        self._front.append((self._mean[key], self._pool[key].costs))
        self._num += 1
        candidate = self._pool[key]
        return Proposal(trial=self._num - 1, genotype=candidate.genotype, costs=candidate.free, origin="foresight")

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Let every training go on to its end."""
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        """Nothing is learnt."""

    def restore(self, history: History) -> None:
        """Not needed in a replay."""
        raise NotImplementedError


def deviation(table: Table, metric: str) -> float:
    """Standard deviation of a network's final values over its seeds."""
    return math.sqrt(
        statistics.fmean(statistics.variance(c[-1].values[metric] for c in p.curves.values()) for p in table.points)
    )


def bills(table: Table, *, is_smooth: bool) -> dict[int, float]:
    """Percent of the hypervolume to full trainings, the mean over the seeds that a search may see."""
    objectives = parse("miou,ops")
    arenas = [Arena(table=table, objectives=objectives, replica=r) for r in range(len(table.points[0].curves))]
    runs = [replay(Foresight(a, is_smooth=is_smooth), a, until=max(SHARES) / 100) for a in arenas]
    costs_of = {percent: [run.cost_to(percent / 100) for run in runs] for percent in SHARES}
    return {percent: statistics.fmean(c or math.inf for c in costs) for percent, costs in costs_of.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="docs/bench/biisnet-nudt-bits.parquet")
    table = read(parser.parse_args().bench)
    print(f"{len(table.points)} networks whose seeds deviate by {deviation(table, 'miou'):.3f} mIoU; full trainings to")
    print(" " * 10 + "".join(f"{percent:>7} %" for percent in SHARES))
    for name, is_smooth in (("as seen", False), ("smoothed", True)):
        print(f"{name:10}" + "".join(f"{cost:9.1f}" for cost in bills(table, is_smooth=is_smooth).values()))


if __name__ == "__main__":
    main()
