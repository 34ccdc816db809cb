"""Two local contrast measures: a cell against its eight neighbours, at four scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from irnas.baseline.scale import Float, Image, Score, to_score

SIDES = (3, 5, 7, 9)
"""Sides of a cell, in pixels."""

# Opposite neighbours are four places apart.
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_LARGEST = 9
_CORE = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 1.0]) / 16


def mpcm(image_hw: Image) -> Score:
    """The least product of differences to two opposite neighbour cells; the greatest over the scales.

    Reference: Wei, You, Li, Multiscale patch-based contrast measure for small infrared target detection, Pattern
    Recognition 58, 2016.
    """
    best = np.zeros(image_hw.shape)
    for side in SIDES:
        centre, neighbours = _cells(image_hw, side, lambda f_hw, side: ndimage.uniform_filter(f_hw, side))
        differences = [centre - neighbour for neighbour in neighbours]
        pairs = [a * b for a, b in zip(differences[:4], differences[4:], strict=True)]
        best = np.maximum(best, np.minimum.reduce(pairs))
    return to_score(best)


def tllcm(image_hw: Image) -> Score:
    """A smoothed core against the mean of the nine brightest pixels of the brightest neighbour cell.

    Reference: Han, Moradi, Faramarzi, Zhang, Liu, Zhao, Wang, A local contrast method for infrared small-target
    detection utilizing a tri-layer window, IEEE Geoscience and Remote Sensing Letters 17, 2020.
    """
    core = ndimage.convolve(image_hw.astype(np.float64), _CORE, mode="nearest")
    best = np.zeros(image_hw.shape)
    for side in SIDES:
        _, neighbours = _cells(image_hw, side, _brightest)
        # A black surround has no ratio; one grey level is the least that an image can say.
        surround = np.maximum(np.maximum.reduce(neighbours), 1.0)
        best = np.maximum(best, (core / surround - 1) * core)
    return to_score(best)


def _brightest(f_hw: Float, side: int) -> Float:
    """The mean of the nine largest values in the cell around each pixel; meaningless within half a cell of the edge."""
    half = side // 2
    windows = np.lib.stride_tricks.sliding_window_view(f_hw.astype(np.uint8), (side, side))
    flat = windows.reshape(*windows.shape[:2], side * side)
    largest = np.partition(flat, side * side - _LARGEST, axis=-1)[..., -_LARGEST:]
    return np.pad(largest.mean(-1), half)


def _cells(image_hw: Image, side: int, of: Callable[[Float, int], Float]) -> tuple[Float, list[Float]]:
    """A statistic of the cell around each pixel, and of its eight neighbour cells; edges are replicated."""
    height, width = image_hw.shape
    margin = side + side // 2
    statistic = of(np.pad(image_hw, margin, mode="edge").astype(np.float64), side)

    def shifted(rows: int, columns: int) -> Float:
        top, left = margin + rows * side, margin + columns * side
        return statistic[top : top + height, left : left + width]

    return shifted(0, 0), [shifted(rows, columns) for rows, columns in _AROUND]
