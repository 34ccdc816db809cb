"""The ops ``tokens`` and ``attend`` in NumPy: a map whose rows are mixed, or whose pixels are weighed, by a softmax
(FORMAT.md, rules A21 and A22).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from irnas.runtime.arithmetic import Constants, Map, exp_of_minus, fma

_LANES = 16


def tokens(x: Map, side: int, constants: Constants) -> Map:
    """Take the maximum of each cell of a grid of side x side, and the weighted sum of its channels, [1, 1, side^2]."""
    height, width, _ = x.shape
    y = np.empty(side * side, np.float32)
    for cell in range(side * side):
        a, b = divmod(cell, side)
        inside = x[a * height // side : -(-(a + 1) * height // side), b * width // side : -(-(b + 1) * width // side)]
        y[cell] = _weigh(_maximum(inside), constants["weight"], constants["bias"][0])
    return y.reshape(1, 1, -1)


def _maximum(cell: Map) -> Map:
    most, *others = cell.reshape(-1, cell.shape[2])
    for pixel in others:
        most = np.where(pixel > most, pixel, most)
    return most


def _weigh(x: Map, weight: Map, bias: np.float32) -> np.float32:
    total = np.array([bias], np.float32)
    for value, times in zip(x, weight, strict=True):
        total = fma(value, times, total)
    return np.float32(total[0])


def attend(inputs: Sequence[Map], scale: Map, form: str) -> Map:
    """Apply the matrix of two vectors to a map [H, W, C], whole rows ("matrix") or element by element ("gate")."""
    x, (query, key) = inputs[0], (each[0, 0] for each in inputs[1:])
    height, width, _ = x.shape
    product = (query[:, None] * key)[..., None] * scale
    across = _fit(_softmax(product), 1, height if form == "matrix" else width)
    matrix_ijc = _fit(across, 0, height)
    matrix_ijc = matrix_ijc / _sum(matrix_ijc)[:, None]
    if form == "gate":
        return fma(x, matrix_ijc, x)
    y = np.zeros_like(x)
    for r in range(height):
        y = fma(x[r], matrix_ijc[:, r, None], y)
    return y + x


def _softmax(z_abc: Map) -> Map:
    top = z_abc[:, 0]
    for b in range(1, z_abc.shape[1]):
        top = np.where(z_abc[:, b] > top, z_abc[:, b], top)
    e_abc = exp_of_minus(top[:, None] - z_abc)
    p_abc: Map = e_abc / _sum(e_abc)[:, None]
    return p_abc


def _sum(x_abc: Map) -> Map:
    """The sum over the second axis, in sixteen parts."""
    lanes = np.zeros((_LANES, x_abc.shape[0], x_abc.shape[2]), np.float32)
    for b in range(x_abc.shape[1]):
        lanes[b % _LANES] = lanes[b % _LANES] + x_abc[:, b]
    total: Map = lanes[0]
    for r in range(1, _LANES):
        total = total + lanes[r]
    return total


def _fit(x: Map, axis: int, size: int) -> Map:
    """Resize an axis."""
    line = np.moveaxis(x, axis, 0)
    rows = []
    for i in range(size):
        first, weights = fit_weights(len(line), size, i)
        row = np.zeros_like(line[0])
        for g, weight in enumerate(weights):
            row = fma(line[first + g], weight, row)
        rows.append(row)
    fitted: Map = np.moveaxis(np.stack(rows), 0, axis)
    return fitted


def fit_weights(length: int, size: int, i: int) -> tuple[int, npt.NDArray[np.float32]]:
    """The first of ``length`` values that place ``i`` of ``size`` is made of, and the weights from there on."""
    step = length / size
    reach = max(step, 1.0)
    middle = step * (i + 0.5)
    first, end = max(int(middle - reach + 0.5), 0), min(int(middle + reach + 0.5), length)
    weights = [max(1 - abs((first + g - middle + 0.5) / reach), 0.0) for g in range(end - first)]
    total = 0.0
    for weight in weights:
        total += weight
    return first, np.array([weight / total for weight in weights], np.float64).astype(np.float32)
