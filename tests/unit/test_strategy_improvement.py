from __future__ import annotations

import math

import moocore
import numpy as np
import pytest
from support.plain import sum_improvement

from irnas.search.strategy.expected_hypervolume import Costs
from irnas.search.strategy.expected_hypervolume import ExpectedHypervolumeImprovement as EHVI


def by_quadrature(
    mean: float, deviation: float, costs: Costs, front: list[tuple[float, Costs]], worst: tuple[float, Costs]
) -> float:
    """The same integral from another library's hypervolumes, on a fine grid."""
    floor, limits = worst

    def volume(points: list[tuple[float, Costs]]) -> float:
        if not points:
            return 0.0
        return float(moocore.hypervolume(np.array([[-g, *c] for g, c in points]), ref=np.array([-floor, *limits])))

    base = volume(front)
    grid = np.linspace(mean - 6 * deviation, mean + 6 * deviation, 3001)
    density = np.exp(-(((grid - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    added = [volume([*front, (float(y), costs)]) - base for y in grid]
    return float(np.trapezoid(added * density, grid))


def one(improvement: EHVI, mean: float, deviation: float, costs: Costs) -> float:
    return float(improvement.expected(np.array([mean]), np.array([deviation]), np.array([costs]).reshape(1, -1))[0])


@pytest.mark.parametrize("num_costs", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_expectation_of_the_added_hypervolume(num_costs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    front = [(float(rng.random()), tuple(rng.random(num_costs).tolist())) for _ in range(7)]
    worst = (0.05, (1.05,) * num_costs)
    mean_m, deviation_m, cost_mk = rng.random(2), rng.uniform(0.02, 0.3, 2), rng.random((2, num_costs))
    expected_m = EHVI(front, worst).expected(mean_m, deviation_m, cost_mk)
    for mean, deviation, costs, gain in zip(mean_m, deviation_m, cost_mk, expected_m, strict=True):
        expected = by_quadrature(float(mean), float(deviation), tuple(costs.tolist()), front, worst)
        assert gain == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("num_costs", [0, 1, 2, 3])
def test_many_at_once_equal_the_plain_sum_of_each(num_costs: int) -> None:
    rng = np.random.default_rng(5)
    # Few different values, so that points share levels and costs, lie on the limits and beyond.
    gain_n, cost_nk = rng.integers(0, 6, 25) / 5, rng.integers(0, 7, (25, num_costs)) / 5
    front = [(float(g), tuple(c)) for g, c in zip(gain_n, cost_nk.tolist(), strict=True)]
    worst = (0.1, (1.0,) * num_costs)
    mean_m, deviation_m = rng.random(40), rng.uniform(0.01, 0.4, 40)
    cost_mk = rng.integers(0, 7, (40, num_costs)) / 5
    expected_m = EHVI(front, worst).expected(mean_m, deviation_m, cost_mk)
    for m in range(40):
        single = one(
            EHVI(front, worst),
            float(mean_m[m]),
            float(deviation_m[m]),
            tuple(cost_mk[m].tolist()),
        )
        plain = sum_improvement(float(mean_m[m]), float(deviation_m[m]), tuple(cost_mk[m].tolist()), front, worst)
        assert expected_m[m] == pytest.approx(single, rel=1e-12, abs=1e-15)
        assert expected_m[m] == pytest.approx(plain, rel=1e-9, abs=1e-13)


def test_small_cases_by_hand() -> None:
    worst = (0.0, (10.0,))
    sure = 1e-9
    assert one(EHVI([], worst), 0.5, sure, (4.0,)) == pytest.approx(0.5 * 6)
    front = [(0.4, (5.0,))]
    assert one(EHVI(front, worst), 0.5, sure, (4.0,)) == pytest.approx(0.4 * 1 + 0.1 * 6)
    assert one(EHVI(front, worst), 0.3, sure, (6.0,)) == pytest.approx(0.0, abs=1e-9)
    assert one(EHVI(front, worst), 0.5, 0.1, (10.0,)) == 0.0
    # Without a cost: how much better than the best, the expectation of a half normal.
    assert one(EHVI([(0.5, ())], (0.0, ())), 0.5, 0.1, ()) == pytest.approx(0.1 / math.sqrt(2 * math.pi))


def test_the_front_itself_is_measured_too() -> None:
    worst = (0.0, (3.0,))
    made = EHVI([(0.5, (1.0,)), (0.8, (2.0,)), (0.4, (2.5,))], worst)
    assert made.covered(np.array([0.0])) == pytest.approx(0.3 * 1 + 0.5 * 2)
    assert EHVI([], worst).covered(np.array([0.0])) == 0.0
    two = EHVI([(0.5, (1.0, 1.0))], (0.0, (3.0, 2.0)))
    assert two.covered(np.array([0.0, 0.5])) == pytest.approx(0.5 * 2 * 1)
