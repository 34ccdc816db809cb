"""The arithmetic "fold-fma-1" in NumPy: slow, and equal in every bit to what FORMAT.md, section 5, says.

Maps are float32 [H, W, C]. Rules in brackets are those of FORMAT.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]
Constants = Mapping[str, npt.NDArray[Any]]

_TIE = np.int64(1) << 28
_BELOW = (np.int64(1) << 29) - 1
_TINY = float(np.finfo(np.float32).tiny)


def fma(x: Any, y: Any, z: Any) -> Map:
    """Compute x*y + z in float32 with one rounding; the arguments broadcast.

    The product is exact in float64. The sum is rounded there first, and rounding that to float32 goes wrong only where
    it lies exactly half-way between two float32 values (or below their normal range); those few are rounded to odd
    first, which makes the second rounding right (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums").
    """
    product, addend = np.multiply(x, y, dtype=np.float64), np.asarray(z, np.float64)
    total = np.atleast_1d(product + addend)
    doubtful = ((total.view(np.int64) & _BELOW) == _TIE) | (np.abs(total) < _TINY)
    if doubtful.any():
        product, addend = (np.broadcast_to(part, total.shape)[doubtful] for part in (product, addend))
        total[doubtful] = _to_odd(product, addend)
    shape = np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(z))
    return total.astype(np.float32).reshape(shape)


def _to_odd(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Add x and y; where the sum is inexact, return the neighbour whose last bit is 1."""
    total = x + y
    part = total - x
    error = (x - (total - part)) + (y - part)
    is_even = (total.view(np.int64) & 1) == 0
    odd = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
    return np.where((error != 0) & is_even, odd, total)


def two_slope(x: Map, constants: Constants, role: str) -> Map:
    """Apply the two-slope map M to x, with those constants that the pattern ``role`` (say post_{}) names [A1]."""
    a, b, lo, hi, g, c = (constants.get(role.format(part)) for part in ("a", "b", "lo", "hi", "g", "c"))
    w = x if a is None else fma(x, a, b)
    rest = c if g is None else fma(x, g, c)
    return bend(w, lo, hi, rest)


def bend(t: Map, lo: Map | None, hi: Map | None, rest: Map | None) -> Map:
    """Apply E to t: a slope on either side of 0, plus ``rest`` [A7]."""
    if lo is None or hi is None:
        return t if rest is None else t + rest
    slope = np.where(t < 0, lo, hi)
    return t * slope if rest is None else fma(t, slope, rest)


def slice_taps(x: Map, kernel: int, stride: int, pad: float) -> list[list[Map]]:
    """Slice, for each tap (ky, kx), the values that it sees at every output pixel [A2]."""
    height, width = (-(-side // stride) for side in x.shape[:2])
    margin = kernel // 2
    wide = np.pad(x, ((margin, margin), (margin, margin), (0, 0)), constant_values=x.dtype.type(pad))
    return [
        [wide[ky : ky + stride * height : stride, kx : kx + stride * width : stride] for kx in range(kernel)]
        for ky in range(kernel)
    ]


def conv(x: Map, weight: Map, bias: Map | None, attributes: Mapping[str, Any]) -> Map:
    """Convolve in full precision: taps in order, channels fastest [A3]."""
    filters, groups = weight.shape[0], attributes["groups"]
    taps = slice_taps(x, attributes["kernel"], attributes["stride"], attributes["pad"])
    height, width = taps[0][0].shape[:2]
    start = np.zeros(filters, np.float32) if bias is None else bias
    acc = np.broadcast_to(start, (height, width, filters)).reshape(height, width, groups, -1)
    weight_gokkc = weight.reshape(groups, -1, *weight.shape[1:])
    for ky, row in enumerate(taps):
        for kx, tap in enumerate(row):
            tap_hwgc = tap.reshape(height, width, groups, -1)
            for c in range(weight.shape[3]):
                acc = fma(tap_hwgc[..., c, None], weight_gokkc[:, :, ky, kx, c], acc)
    return acc.reshape(height, width, filters)


def sum_signs(signs: Map, bits: npt.NDArray[np.uint8], attributes: Mapping[str, Any]) -> tuple[Map, Map]:
    """Sum the signs: N [H, W, O], and T of each filter's group [H, W, O] [A6]. They stay below 2^24, so exact."""
    filters, groups = bits.shape[0], attributes["groups"]
    per_group = signs.shape[2] // groups
    weight = 1 - 2 * np.unpackbits(bits, axis=-1, count=per_group, bitorder="little").astype(np.float32)
    weight_gokkc = weight.reshape(groups, filters // groups, *weight.shape[1:])
    taps = slice_taps(signs, attributes["kernel"], attributes["stride"], attributes["pad"])
    height, width = taps[0][0].shape[:2]
    n_gpo = np.zeros((groups, height * width, filters // groups), np.float32)
    t_gp = np.zeros((groups, height * width), np.float32)
    for ky, row in enumerate(taps):
        for kx, tap in enumerate(row):
            tap_gpc = np.moveaxis(tap.reshape(height * width, groups, per_group), 1, 0)
            n_gpo += tap_gpc @ np.moveaxis(weight_gokkc[:, :, ky, kx], 1, 2)
            t_gp += tap_gpc.sum(-1)
    n_hwo = np.moveaxis(n_gpo, 0, 1).reshape(height, width, filters)
    t_hwo = np.repeat(t_gp.T, filters // groups, axis=1).reshape(height, width, filters)
    return n_hwo, t_hwo


def select_bias(bias: Map, height: int, width: int, stride: int) -> Map:
    """Select the bias of each output pixel, [O] or, by a table of border classes, [H, W, O] [A7]."""
    if bias.ndim == 1:
        return bias
    rows, columns = (
        np.array([(i < 1) + 2 * (i + 1 >= side) for i in range(0, side, stride)]) for side in (height, width)
    )
    bias_hwo: Map = bias[rows[:, None], columns[None, :]]
    return bias_hwo


def center(x: Map) -> Map:
    """Subtract from x its mean over the map, summed in one order: channels, columns, rows [A10]."""
    height, width, channels = x.shape
    pixels, rows, total = np.zeros((height, width)), np.zeros(height), np.float64(0)
    for c in range(channels):
        pixels += x[:, :, c]
    for j in range(width):
        rows += pixels[:, j]
    for i in range(height):
        total += rows[i]
    return x - np.float32(total / x.size)


def pool(x: Map, kind: str) -> Map:
    """Halve height and width by the rule ``kind`` [A11]."""
    p00, p01, p10, p11 = x[::2, ::2], x[::2, 1::2], x[1::2, ::2], x[1::2, 1::2]
    if kind == "first":
        return p00
    if kind == "average":
        return ((p00 + p01) + (p10 + p11)) * np.float32(0.25)
    if kind in _DIFFERENCES:
        second, third, fourth = _DIFFERENCES[kind]
        difference: Map = ((p00 + second * p01) + third * p10) + fourth * p11
        return difference
    most = p00
    for p in (p01, p10, p11):
        most = np.where(p > most if kind == "maximum" else p < most, p, most)
    return most


_DIFFERENCES: Mapping[str, tuple[np.float32, ...]] = {
    "rows": (np.float32(1), np.float32(-1), np.float32(-1)),
    "columns": (np.float32(-1), np.float32(1), np.float32(-1)),
    "diagonal": (np.float32(-1), np.float32(-1), np.float32(1)),
}
"""The signs of a block's second to fourth pixel."""


def maximum(x: Map) -> Map:
    """Take the maximum of the 3x3 pixels around each, columns first [A19]."""
    for axis in (0, 1):
        line = np.moveaxis(x, axis, 0)
        most = line
        for p in (np.concatenate([line[:1], line[:-1]]), np.concatenate([line[1:], line[-1:]])):
            most = np.where(p > most, p, most)
        x = np.moveaxis(most, 0, axis)
    return np.ascontiguousarray(x)


def upsample(x: Map, kind: str) -> Map:
    """Double height and width by the rule ``kind`` [A12]."""
    if kind == "nearest":
        return x.repeat(2, 0).repeat(2, 1)
    for axis in (0, 1):
        line = np.moveaxis(x, axis, 0)
        before, after = np.concatenate([line[:1], line[:-1]]), np.concatenate([line[1:], line[-1:]])
        near, quarter = np.float32(0.75), np.float32(0.25)
        pair = np.stack([fma(line, near, quarter * before), fma(line, near, quarter * after)], 1)
        x = np.moveaxis(pair.reshape(-1, *line.shape[1:]), 0, axis)
    return np.ascontiguousarray(x)


def sigmoid(x: Map) -> Map:
    """Compute 1 / (1 + exp(-x)) by Cephes' polynomial for exp, in one stated order [A14]."""
    one, e = np.float32(1), exp_of_minus(x)
    probability: Map = np.where(x < 0, e, one) / (one + e)
    return probability


def exp_of_minus(x: Map) -> Map:
    """Compute exp(-|x|), of which nothing beyond exp(-87) [A14]."""
    t = np.where(np.abs(x) < 87, np.abs(x), np.float32(87))
    n = np.rint(t * np.float32(1.44269504))
    q = fma(n, np.float32(0.693359375), -t)
    q = fma(n, np.float32(-2.12194440e-4), q)
    p = np.full_like(x, 1.9875691500e-4)
    for coefficient in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        p = fma(p, q, np.float32(coefficient))
    e: Map = np.ldexp(fma(p, q * q, q) + np.float32(1), -n.astype(np.int32))
    return e


def mean(x: Map, kernel: int) -> Map:
    """Compute the mean over the map of what each tap of a window sees of each channel, [1, 1, K*K*C] [A15]."""
    height, width, channels = x.shape
    margin, values = kernel // 2, x.astype(np.float64)
    means = np.zeros((kernel, kernel, channels), np.float32)
    for kx in range(kernel):
        rows = np.zeros((height, channels))
        for j in _seen(width, kx - margin):
            rows += values[:, j]
        for ky in range(kernel):
            total = np.zeros(channels)
            for i in _seen(height, ky - margin):
                total += rows[i]
            means[ky, kx] = total / (height * width)
    return means.reshape(1, 1, -1)


def contrast(x: Map, sides: Sequence[int]) -> Map:
    """Compute how far each pixel stands out of the mean of each square around it, [H, W, sides] [A17]."""
    height, width = x.shape[:2]
    outermost = max(sides) // 2
    padded = np.pad(x[:, :, 0], outermost)
    rows, reach, parts = padded[outermost : outermost + height], 0, []
    for side in sides:
        for d in range(reach + 1, side // 2 + 1):
            rows = rows + padded[outermost - d : outermost - d + height]
            rows = rows + padded[outermost + d : outermost + d + height]
        reach = side // 2
        total = rows[:, outermost : outermost + width]
        for d in range(1, reach + 1):
            total = total + rows[:, outermost - d : outermost - d + width]
            total = total + rows[:, outermost + d : outermost + d + width]
        inside_h, inside_w = (_count_inside(size, reach) for size in (height, width))
        parts.append(x[:, :, 0] - total / (inside_h[:, None] * inside_w))
    return np.stack(parts, axis=2)


def _count_inside(size: int, reach: int) -> npt.NDArray[np.float32]:
    """Count the places of an axis that lie within ``reach`` of each of its places."""
    at = np.arange(size)
    return (np.minimum(at + reach, size - 1) - np.maximum(at - reach, 0) + 1).astype(np.float32)


def _seen(side: int, offset: int) -> range:
    """Return the places of an axis that a tap at ``offset`` of the window sees from anywhere."""
    return range(max(offset, 0), side + min(offset, 0))


def excite_project(x: Map, factors: Map, constants: Constants) -> Map:
    """Convolve channels times factors to one channel, with a first convolution or without [A16]."""
    weight_kkw, bias = constants["weight"][0] * factors[0, 0], constants["bias"]
    window = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0}
    if "expand" not in constants:
        return conv(x, weight_kkw[None], bias, window)
    height, width = x.shape[:2]
    inner_kkffc, shift_kk = _expanded(weight_kkw, constants["expand"], constants["expand_bias"])
    y = np.empty((height, width, 1), np.float32)
    taps = slice_taps(x, 5, 1, 0)
    rows, columns = (np.array([(i < 1) + 2 * (i + 1 >= side) for i in range(side)]) for side in (height, width))
    for row in np.unique(rows):
        for column in np.unique(columns):
            kernel_uvc, start = _collapse(inner_kkffc, shift_kk, bias[0], int(row), int(column))
            here = np.ix_(rows == row, columns == column)
            acc = np.full((int((rows == row).sum()), int((columns == column).sum())), start, np.float32)
            for u, v, c in np.ndindex(*kernel_uvc.shape):
                acc = fma(taps[u][v][..., c][here], kernel_uvc[u, v, c], acc)
            y[:, :, 0][here] = acc
    return y


def _expanded(weight_kkw: Map, expand_wffc: Map, expand_bias_w: Map) -> tuple[Map, Map]:
    """Sum over the channels between two convolutions: [3, 3, 3, 3, C] for each pair of taps, [3, 3] of the shifts."""
    inner = np.zeros((3, 3, *expand_wffc.shape[1:]), np.float32)
    shift = np.zeros((3, 3), np.float32)
    for w in range(len(expand_wffc)):
        inner = fma(weight_kkw[:, :, w, None, None, None], expand_wffc[w], inner)
        shift = fma(weight_kkw[:, :, w], expand_bias_w[w], shift)
    return inner, shift


def _collapse(inner_kkffc: Map, shift_kk: Map, bias: np.float32, row: int, column: int) -> tuple[Map, np.float32]:
    """Collapse two 3x3 windows into one 5x5 for a border class, [5, 5, C], and what it starts from."""
    kernel_uvc, start = np.zeros((5, 5, inner_kkffc.shape[-1]), np.float32), bias
    for ky in range(row & 1, 3 - (row >> 1)):
        for kx in range(column & 1, 3 - (column >> 1)):
            kernel_uvc[ky : ky + 3, kx : kx + 3] += inner_kkffc[ky, kx]
            start = start + shift_kk[ky, kx]
    return kernel_uvc, start
