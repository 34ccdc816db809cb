from __future__ import annotations

import numpy as np
import pytest

from irnas.search.strategy.surrogate import PRIOR_SPREAD, Curves, Surface


def test_without_a_finished_training_a_value_stays_and_spreads_with_the_way_to_go() -> None:
    curves = Curves([{}, {}, {}])
    assert curves.final(0, 0.4) == (0.4, pytest.approx(2 * PRIOR_SPREAD**2))
    assert curves.final(1, 0.4) == (0.4, pytest.approx(PRIOR_SPREAD**2))
    assert curves.final(2, 0.4) == (0.4, 0.0)


def test_a_gain_that_others_had_is_expected_and_a_slope_is_learnt_slowly() -> None:
    few = Curves([{0: 0.2, 1: 0.3}, {0: 0.5, 1: 0.6}])
    assert few.final(0, 0.25)[0] == pytest.approx(0.55) and few.final(0, 0.45)[0] == pytest.approx(0.75)
    before = {t: 0.2 + 0.01 * t for t in range(60)}
    many = Curves([before, {t: 0.5 + 2 * (v - 0.2) for t, v in before.items()}])
    slope = (many.final(0, 0.6)[0] - many.final(0, 0.4)[0]) / 0.2
    # 1 + (sum of squares / (sum of squares + 3 x 0.1^2)), since the prior pulls a slope of 2 to 1.
    square = sum((0.01 * (t - 29.5)) ** 2 for t in range(60))
    assert slope == pytest.approx(1 + square / (square + 0.03))
    assert many.final(0, 0.5)[1] < few.final(0, 0.5)[1]


def test_only_trainings_that_reached_both_rungs_teach() -> None:
    assert Curves([{0: 0.2, 1: 0.9}, {0: 0.3, 2: 0.1}]).final(0, 0.2)[0] == pytest.approx(0.3)


def grid(num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x_nd = rng.random((num, 3))
    cost_nk = 6 + 2 * rng.random((num, 1))
    return x_nd, cost_nk, 0.1 * cost_nk[:, 0] + 0.2 * np.sin(3 * x_nd[:, 0])


def test_a_surface_follows_the_costs_and_the_features() -> None:
    x_nd, cost_nk, y_n = grid(80)
    surface = Surface(x_nd[:60], cost_nk[:60], y_n[:60], np.zeros(60))
    mean_m, spread_m = surface.predict(x_nd[60:], cost_nk[60:])
    assert np.sqrt(np.mean((mean_m - y_n[60:]) ** 2)) < 0.3 * y_n.std()
    assert (spread_m > 0).all()
    far_m, wide_m = surface.predict(x_nd[60:] + 50, cost_nk[60:])
    assert wide_m.min() > spread_m.max() and np.isfinite(far_m).all()


def test_a_noisy_value_counts_less() -> None:
    x_nd, cost_nk, y_n = grid(20)
    bent_n = y_n.copy()
    bent_n[0] += 0.5
    sure, doubtful = np.zeros(20), np.where(np.arange(20) == 0, 4.0, 0.0)
    at = (x_nd[:1], cost_nk[:1])
    clean = Surface(x_nd, cost_nk, y_n, sure).predict(*at)[0][0]
    believed = Surface(x_nd, cost_nk, bent_n, sure).predict(*at)[0][0]
    doubted = Surface(x_nd, cost_nk, bent_n, doubtful).predict(*at)[0][0]
    assert abs(doubted - clean) < 0.3 * abs(believed - clean)


def test_what_is_taken_leaves_the_means_and_narrows_the_neighbours() -> None:
    x_nd, cost_nk, y_n = grid(40)
    surface = Surface(x_nd[:20], cost_nk[:20], y_n[:20], np.full(20, 0.01))
    at = (x_nd[20:], cost_nk[20:])
    mean_m, spread_m = surface.predict(*at)
    taken_m, narrow_m = surface.predict(*at, x_nd[20:21])
    assert (taken_m == mean_m).all() and (narrow_m <= spread_m + 1e-12).all()
    assert narrow_m[0] < 0.2 * spread_m[0]
    near = int(np.argmin(np.linalg.norm(x_nd[21:] - x_nd[20], axis=1))) + 1
    far = int(np.argmax(np.linalg.norm(x_nd[21:] - x_nd[20], axis=1))) + 1
    assert narrow_m[near] / spread_m[near] < narrow_m[far] / spread_m[far]


@pytest.mark.parametrize("num", [1, 2])
@pytest.mark.parametrize("num_costs", [0, 2])
def test_it_copes_with_next_to_nothing(num: int, num_costs: int) -> None:
    surface = Surface(np.ones((num, 2)), np.ones((num, num_costs)), np.full(num, 0.3), np.zeros(num))
    mean_m, spread_m = surface.predict(np.zeros((4, 2)), np.zeros((4, num_costs)))
    assert np.isfinite(mean_m).all() and (spread_m > 0).all()
