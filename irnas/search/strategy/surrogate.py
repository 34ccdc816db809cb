"""Predictions about trainings that a search has not seen the end of, from three small models.

``LearningCurveModel`` predicts the last value of a training from its value at a rung: from rung to rung, a line through
the trainings that reached both, shrunk to "as much again as the others gained". ``GaussianProcess`` predicts final
values of networks: a line in the logarithm of the costs, and a process (Matern 5/2) on what the line leaves. Each value
has a noise of its own, so that a prediction from a short curve counts less than an end that was seen.
``EpochTimeModel`` predicts how long an epoch takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.float64]

PRIOR_DEVIATION = 0.1
"""Standard deviation of a gain between rungs before any was seen, on an axis of about 0..1."""

_PRIOR_WEIGHT = 3.0
"""Trainings that the priors, such as the slope of 1, count as."""

_PRIOR_REST = 0.05
"""Standard deviation around the line in the costs, before any network was seen."""

_LENGTHS = (0.5, 1.0, 2.0, 4.0)
_NOISES = (0.03, 0.1, 0.4)
"""Share of the variance that is noise of the training, tried."""
_MIN_VARIANCE = 1e-5
_JITTER = 1e-4
_RIDGE = 1e-3


class LearningCurveModel:
    """Predicts the last value of a training from its value at a rung."""

    def __init__(self, rungs: Sequence[Mapping[int, float]]) -> None:
        """Learn from ``rungs``: for each, trial to value, the last one being the end of the training."""
        self._links = [_link(a, b) for a, b in itertools.pairwise(rungs)]

    def predict(self, rung: int, value: float) -> tuple[float, float]:
        """Mean and variance of the value at the end of a training that had ``value`` at ``rung``."""
        mean, variance = value, 0.0
        for slope, start, end, noise in self._links[rung:]:
            mean = end + slope * (mean - start)
            variance = slope * slope * variance + noise
        return mean, variance


def _link(before: Mapping[int, float], after: Mapping[int, float]) -> tuple[float, float, float, float]:
    """Slope, the mean before, the mean after, and the variance around the line."""
    both = [(before[t], after[t]) for t in sorted(before.keys() & after.keys())]
    prior = PRIOR_DEVIATION**2
    if not both:
        return 1.0, 0.0, 0.0, prior
    x_n, y_n = np.array(both).T
    dx_n, dy_n = x_n - x_n.mean(), y_n - y_n.mean()
    weight = _PRIOR_WEIGHT * prior
    slope = float((dx_n @ dy_n + weight) / (dx_n @ dx_n + weight))
    rest_n = dy_n - slope * dx_n
    noise = float((rest_n @ rest_n + prior) / len(both))
    return slope, float(x_n.mean()), float(y_n.mean()), noise


class EpochTimeModel:
    """Predicts seconds an epoch from a network's first cost: a line between logarithms."""

    def __init__(self, pairs: Sequence[tuple[float, float]]) -> None:
        """Learn from pairs: the position of a network's first cost, and its seconds an epoch."""
        self._slope, self._cost, self._seconds = 0.0, 0.0, 0.0
        if pairs:
            x_n, y_n = np.array([c for c, _ in pairs]), np.log10([s for _, s in pairs])
            self._cost, self._seconds = float(x_n.mean()), float(y_n.mean())
            square = float(((x_n - self._cost) ** 2).sum())
            if len(pairs) > 2 and square > 0:
                self._slope = min(max(float((x_n - self._cost) @ (y_n - self._seconds)) / square, 0.0), 2.0)

    def predict(self, cost_m: Array) -> Array:
        """Seconds an epoch of ``M`` networks with these costs; 1 where nothing was learnt."""
        return np.asarray(10 ** (self._seconds + self._slope * (cost_m - self._cost)))


class GaussianProcess:
    """Predicts the final values of networks from those of others."""

    def __init__(self, x_nd: Array, cost_nk: Array, y_n: Array, noise_n: Array) -> None:
        """Learn from ``N`` trainings: features, costs (logarithmic), final values, and the variance of each."""
        self._x_nd = x_nd
        basis_nb = _basis(cost_nk)
        weight_n = 1 / (noise_n + _MIN_VARIANCE + float(np.var(y_n)) / 4)
        gram_bb = basis_nb.T @ (weight_n[:, None] * basis_nb)
        ridge_bb = _RIDGE * float(weight_n.sum()) * np.eye(len(gram_bb))
        ridge_bb[0, 0] = 1e-9
        self._line_b = np.linalg.solve(gram_bb + ridge_bb, basis_nb.T @ (weight_n * y_n))
        rest_n = y_n - basis_nb @ self._line_b
        # A few values on a line are no proof that all lie there.
        prior = _PRIOR_WEIGHT * _PRIOR_REST**2
        self._variance = (float(rest_n @ rest_n) + prior) / (len(rest_n) + _PRIOR_WEIGHT)
        distance_nn = _distance(x_nd, x_nd)
        fits = []
        for length in _LENGTHS:
            cov_nn = self._variance * _matern(distance_nn / length)
            fits += [(*self._fit(cov_nn, rest_n, noise_n, share), length) for share in _NOISES]
        _, self._lower_nn, self._alpha_n, self._length = max(fits, key=lambda fit: fit[0])

    def predict(self, x_md: Array, cost_mk: Array, pending_td: Array | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation of the final values of ``M`` networks.

        Args:
            x_md: features.
            cost_mk: costs (logarithmic).
            pending_td: features of ``T`` networks that count as if each had come out at its mean. That leaves all means
                as they are and narrows the posteriors of the neighbours.
        """
        cross_mn = self._cov(x_md, self._x_nd)
        mean_m = _basis(cost_mk) @ self._line_b + cross_mn @ self._alpha_n
        half_nm = _solve(self._lower_nn, cross_mn.T)
        if pending_td is not None and len(pending_td):
            # The factor of the joint covariance, continued below the factor of what was seen.
            half_nt = _solve(self._lower_nn, self._cov(self._x_nd, pending_td))
            corner_tt = self._cov(pending_td, pending_td) - half_nt.T @ half_nt
            corner_tt[np.diag_indices_from(corner_tt)] += _JITTER * self._variance
            lower_tt = np.asarray(np.linalg.cholesky(corner_tt), np.float64)
            half_tm = _solve(lower_tt, self._cov(pending_td, x_md) - half_nt.T @ half_nm)
            half_nm = np.vstack([half_nm, half_tm])
        left_m = self._variance - np.einsum("nm,nm->m", half_nm, half_nm)
        return mean_m, np.sqrt(np.maximum(left_m, _MIN_VARIANCE))

    def _cov(self, a_nd: Array, b_md: Array) -> Array:
        return self._variance * _matern(_distance(a_nd, b_md) / self._length)

    def _fit(self, cov_nn: Array, rest_n: Array, noise_n: Array, share: float) -> tuple[float, Array, Array]:
        """Log likelihood, Cholesky factor, weights. C. E. Rasmussen, C. Williams 2006, algorithm 2.1."""
        noisy_nn = cov_nn.copy()
        noisy_nn[np.diag_indices_from(noisy_nn)] += share * self._variance + noise_n
        lower_nn = np.asarray(np.linalg.cholesky(noisy_nn), np.float64)
        alpha_n = _solve(lower_nn, _solve(lower_nn, rest_n), transposed=True)
        likelihood = -0.5 * float(rest_n @ alpha_n) - float(np.log(np.diag(lower_nn)).sum())
        return likelihood, lower_nn, alpha_n


def _solve(lower_nn: Array, right: Array, *, transposed: bool = False) -> Array:
    """Solve with a lower triangle, or with its transpose."""
    solution = solve_triangular(lower_nn, right, lower=True, trans="T" if transposed else "N", check_finite=False)
    return np.asarray(solution, np.float64)


def _basis(cost_nk: Array) -> Array:
    return np.hstack([np.ones((len(cost_nk), 1)), cost_nk])


def _distance(a_nd: Array, b_md: Array) -> Array:
    square_nm = (a_nd**2).sum(1)[:, None] + (b_md**2).sum(1)[None, :] - 2 * a_nd @ b_md.T
    distance_nm: Array = np.sqrt(np.maximum(square_nm, 0.0))
    return distance_nm


def _matern(ratio: Array) -> Array:
    """Matern 5/2 at a distance in lengths."""
    scaled = math.sqrt(5) * ratio
    return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))
