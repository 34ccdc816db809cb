"""Cutting an image into patches that overlap, and putting patches back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from irnas.baseline.scale import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the patches of an image lie: every ``step`` pixels, and once more at the far edges."""

    height: int
    width: int
    side: int
    """Of a patch; not more than the image has."""
    step: int
    """Not more than ``side``, or there are pixels in no patch."""

    def _starts(self, size: int) -> list[int]:
        last = size - self.side
        return [*range(0, last, self.step), last]

    def corners(self) -> list[tuple[int, int]]:
        """The top left pixels of all patches, row by row."""
        return [(top, left) for top in self._starts(self.height) for left in self._starts(self.width)]

    def cut(self, f_hw: Float) -> Float:
        """[H, W] to patches [n, side, side]."""
        return np.stack([f_hw[top : top + self.side, left : left + self.side] for top, left in self.corners()])

    def join(self, patches: Float, of: Callable[[Sequence[Float]], Float]) -> Float:
        """Patches [n, side, side] to [H, W]; where several lie, ``of`` takes their values [k, ...] to one."""
        rows, columns = self._starts(self.height), self._starts(self.width)
        reassembled = np.empty((self.height, self.width))
        # Between two neighbouring edges of patches, all pixels are covered by the same ones.
        for top, bottom in _bands(rows, self.side):
            for left, right in _bands(columns, self.side):
                parts = [
                    patches[i * len(columns) + j, top - y : bottom - y, left - x : right - x]
                    for i, y in enumerate(rows)
                    if y <= top < y + self.side
                    for j, x in enumerate(columns)
                    if x <= left < x + self.side
                ]
                reassembled[top:bottom, left:right] = of(parts)
        return reassembled


def median(parts: Sequence[Float]) -> Float:
    """The median of arrays of one shape, element by element."""
    return parts[0] if len(parts) == 1 else np.asarray(np.median(np.stack(parts), axis=0))


def _bands(starts: Sequence[int], side: int) -> list[tuple[int, int]]:
    edges = sorted({*starts, *(start + side for start in starts)})
    return [*itertools.pairwise(edges)]
