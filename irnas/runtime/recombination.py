"""The op ``recombine`` in NumPy: a map as a sum of others, whose weights follow from the maps (FORMAT.md, rule A20)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irnas.runtime.arithmetic import Map, fma

Tap = Sequence[int]
"""(sign, row, column)."""

_LANES = 16
_FLOOR = np.float32(1e-24)


def recombine(origin: Map, inputs: Sequence[Map], filters: Sequence[Sequence[Tap]]) -> Map:
    """Decompose the origin over what the filters make of the first input, and over the inputs that are left.

    Args:
        origin: float32 [H, W, C].
        inputs: of the same shape. Without filters, all are basis maps.
        filters: each a sequence of taps.
    """
    seen = _see(inputs[0], filters) if filters else {}
    others = list(inputs[1:] if filters else inputs)
    gains = [_gain(origin, _apply(taps, seen)) for taps in filters]
    y = np.zeros_like(origin)
    for place, x in seen.items():
        weight = np.zeros(origin.shape[2], np.float32)
        for gain, taps in zip(gains, filters, strict=True):
            for sign, row, column in taps:
                if (row, column) == place:
                    weight = weight + gain if sign > 0 else weight - gain
        y = fma(x, weight, y)
    for basis in others:
        y = fma(basis, np.float32(0) + _gain(origin, basis), y)
    return y


def _see(x: Map, filters: Sequence[Sequence[Tap]]) -> dict[tuple[int, int], Map]:
    """What each place sees at every pixel, in the order in which the filters name the places."""
    height, width = x.shape[:2]
    reach = max(max(abs(row), abs(column)) for taps in filters for _, row, column in taps)
    wide = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    places = dict.fromkeys((row, column) for taps in filters for _, row, column in taps)
    return {
        (row, column): wide[reach + row : reach + row + height, reach + column : reach + column + width]
        for row, column in places
    }


def _apply(taps: Sequence[Tap], seen: dict[tuple[int, int], Map]) -> Map:
    (_, *first), *rest = taps
    y = seen[first[0], first[1]]
    for sign, row, column in rest:
        y = y + seen[row, column] if sign > 0 else y - seen[row, column]
    return y


def _gain(origin: Map, basis: Map) -> Map:
    """g of each channel."""
    p, q = _sum(basis, origin), _sum(basis, basis)
    return np.divide(p, np.where(q > _FLOOR, q, _FLOOR), dtype=np.float32)


def _sum(x: Map, y: Map) -> Map:
    """The sum of products over the map in the stated order, [C]."""
    height, _, channels = x.shape
    lanes = np.zeros((height, _LANES, channels), np.float32)
    for begin in range(0, x.shape[1], _LANES):
        here = x[:, begin : begin + _LANES]
        count = here.shape[1]
        lanes[:, :count] = fma(here, y[:, begin : begin + _LANES], lanes[:, :count])
    rows = lanes[:, 0]
    for r in range(1, _LANES):
        rows = rows + lanes[:, r]
    total = np.zeros(channels)
    for i in range(height):
        total += rows[i]
    return total.astype(np.float32)
