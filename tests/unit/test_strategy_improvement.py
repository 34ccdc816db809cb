from __future__ import annotations

import math

import moocore
import numpy as np
import pytest

from irnas.search.strategy.improvement import Costs, Improvement


def by_quadrature(
    mean: float, spread: float, costs: Costs, front: list[tuple[float, Costs]], worst: tuple[float, Costs]
) -> float:
    """The same integral from another library's hypervolumes, on a fine grid."""
    floor, limits = worst

    def volume(points: list[tuple[float, Costs]]) -> float:
        if not points:
            return 0.0
        return float(moocore.hypervolume(np.array([[-g, *c] for g, c in points]), ref=np.array([-floor, *limits])))

    base = volume(front)
    grid = np.linspace(mean - 6 * spread, mean + 6 * spread, 3001)
    density = np.exp(-(((grid - mean) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
    added = [volume([*front, (float(y), costs)]) - base for y in grid]
    return float(np.trapezoid(added * density, grid))


@pytest.mark.parametrize("num_costs", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_expectation_of_the_added_hypervolume(num_costs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    front = [(float(rng.random()), tuple(rng.random(num_costs).tolist())) for _ in range(7)]
    worst = (0.05, (1.05,) * num_costs)
    improvement = Improvement(front, worst)
    for _ in range(2):
        mean, spread = float(rng.random()), float(rng.uniform(0.02, 0.3))
        costs = tuple(rng.random(num_costs).tolist())
        expected = by_quadrature(mean, spread, costs, front, worst)
        assert improvement.expected(mean, spread, costs) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_small_cases_by_hand() -> None:
    worst = (0.0, (10.0,))
    sure = 1e-9
    assert Improvement([], worst).expected(0.5, sure, (4.0,)) == pytest.approx(0.5 * 6)
    front = [(0.4, (5.0,))]
    assert Improvement(front, worst).expected(0.5, sure, (4.0,)) == pytest.approx(0.4 * 1 + 0.1 * 6)
    assert Improvement(front, worst).expected(0.3, sure, (6.0,)) == pytest.approx(0.0, abs=1e-9)
    assert Improvement(front, worst).expected(0.5, 0.1, (10.0,)) == 0.0
    # Without a cost: how much better than the best, the expectation of a half normal.
    assert Improvement([(0.5, ())], (0.0, ())).expected(0.5, 0.1, ()) == pytest.approx(0.1 / math.sqrt(2 * math.pi))
