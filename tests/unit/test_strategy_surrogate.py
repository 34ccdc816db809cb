from __future__ import annotations

import numpy as np
import pytest

from irnas.search.strategy.surrogate import PRIOR_DEVIATION, GaussianProcess, LearningCurveModel


def test_without_an_end_a_value_stays_and_grows_uncertain() -> None:
    curves = LearningCurveModel([{}, {}, {}])
    assert curves.predict(0, 0.4) == (0.4, pytest.approx(2 * PRIOR_DEVIATION**2))
    assert curves.predict(1, 0.4) == (0.4, pytest.approx(PRIOR_DEVIATION**2))
    assert curves.predict(2, 0.4) == (0.4, 0.0)


def test_the_gain_of_others_is_expected() -> None:
    few = LearningCurveModel([{0: 0.2, 1: 0.3}, {0: 0.5, 1: 0.6}])
    assert few.predict(0, 0.25)[0] == pytest.approx(0.55) and few.predict(0, 0.45)[0] == pytest.approx(0.75)
    before = {t: 0.2 + 0.01 * t for t in range(60)}
    many = LearningCurveModel([before, {t: 0.5 + 2 * (v - 0.2) for t, v in before.items()}])
    slope = (many.predict(0, 0.6)[0] - many.predict(0, 0.4)[0]) / 0.2
    # 1 + (sum of squares / (sum of squares + 3 x 0.1^2)), since the prior pulls a slope of 2 to 1.
    square = sum((0.01 * (t - 29.5)) ** 2 for t in range(60))
    assert slope == pytest.approx(1 + square / (square + 0.03))
    assert many.predict(0, 0.5)[1] < few.predict(0, 0.5)[1]


def test_only_trainings_that_reached_both_rungs_teach() -> None:
    assert LearningCurveModel([{0: 0.2, 1: 0.9}, {0: 0.3, 2: 0.1}]).predict(0, 0.2)[0] == pytest.approx(0.3)


def grid(num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x_nd = rng.random((num, 3))
    cost_nk = 6 + 2 * rng.random((num, 1))
    return x_nd, cost_nk, 0.1 * cost_nk[:, 0] + 0.2 * np.sin(3 * x_nd[:, 0])


def test_a_process_follows_costs_and_features() -> None:
    x_nd, cost_nk, y_n = grid(80)
    process = GaussianProcess(x_nd[:60], cost_nk[:60], y_n[:60], np.zeros(60))
    mean_m, deviation_m = process.predict(x_nd[60:], cost_nk[60:])
    assert np.sqrt(np.mean((mean_m - y_n[60:]) ** 2)) < 0.3 * y_n.std()
    assert (deviation_m > 0).all()
    far_m, wide_m = process.predict(x_nd[60:] + 50, cost_nk[60:])
    assert wide_m.min() > deviation_m.max() and np.isfinite(far_m).all()


def test_a_noisy_value_counts_less() -> None:
    x_nd, cost_nk, y_n = grid(20)
    bent_n = y_n.copy()
    bent_n[0] += 0.5
    sure, doubtful = np.zeros(20), np.where(np.arange(20) == 0, 4.0, 0.0)
    at = (x_nd[:1], cost_nk[:1])
    clean = GaussianProcess(x_nd, cost_nk, y_n, sure).predict(*at)[0][0]
    trusted = GaussianProcess(x_nd, cost_nk, bent_n, sure).predict(*at)[0][0]
    doubted = GaussianProcess(x_nd, cost_nk, bent_n, doubtful).predict(*at)[0][0]
    assert abs(doubted - clean) < 0.3 * abs(trusted - clean)


def test_pending_networks_narrow_their_neighbours_only() -> None:
    x_nd, cost_nk, y_n = grid(40)
    process = GaussianProcess(x_nd[:20], cost_nk[:20], y_n[:20], np.full(20, 0.01))
    at = (x_nd[20:], cost_nk[20:])
    mean_m, deviation_m = process.predict(*at)
    pending_m, narrow_m = process.predict(*at, x_nd[20:21])
    assert (pending_m == mean_m).all() and (narrow_m <= deviation_m + 1e-12).all()
    assert narrow_m[0] < 0.2 * deviation_m[0]
    near = int(np.argmin(np.linalg.norm(x_nd[21:] - x_nd[20], axis=1))) + 1
    far = int(np.argmax(np.linalg.norm(x_nd[21:] - x_nd[20], axis=1))) + 1
    assert narrow_m[near] / deviation_m[near] < narrow_m[far] / deviation_m[far]


@pytest.mark.parametrize("num", [1, 2])
@pytest.mark.parametrize("num_costs", [0, 2])
def test_one_training_is_enough_to_predict(num: int, num_costs: int) -> None:
    process = GaussianProcess(np.ones((num, 2)), np.ones((num, num_costs)), np.full(num, 0.3), np.zeros(num))
    mean_m, deviation_m = process.predict(np.zeros((4, 2)), np.zeros((4, num_costs)))
    assert np.isfinite(mean_m).all() and (deviation_m > 0).all()
