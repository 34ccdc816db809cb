"""Targets of a network's output as boxes: what ``xnor_find_boxes`` of the C interface does, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A target: pixels above the threshold that touch each other, corners included."""

    x: int
    """Its left column."""
    y: int
    """Its top row."""
    width: int
    height: int
    area: int
    """Pixels."""
    score: float
    """The highest probability among them."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON holds it, with 6 decimals of the score."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        return {**parts, "score": round(self.score, 6)}


def find_boxes(probability_hw: npt.NDArray[np.float32], threshold: float) -> list[Box]:
    """Find the targets of one map, in the order of their first pixels: row by row, left to right.

    Args:
        probability_hw: float32 [H, W] of 0..1, as ``Model.run`` returns them.
        threshold: what a probability must exceed, rounded to float32; the model's own is ``facts.threshold``.
    """
    rows, begins, ends = _find_runs(probability_hw > np.float32(threshold))
    roots = _join_runs(rows, begins, ends)
    members: dict[int, list[int]] = {}
    for run, root in enumerate(roots):
        members.setdefault(root, []).append(run)
    boxes = []
    for runs in members.values():
        x, y = min(begins[run] for run in runs), rows[runs[0]]
        boxes.append(
            Box(
                x=x,
                y=y,
                width=max(ends[run] for run in runs) - x,
                height=rows[runs[-1]] + 1 - y,
                area=sum(ends[run] - begins[run] for run in runs),
                score=max(float(probability_hw[rows[run], begins[run] : ends[run]].max()) for run in runs),
            )
        )
    return boxes


def _find_runs(hits_hw: npt.NDArray[np.bool_]) -> tuple[list[int], list[int], list[int]]:
    """Pixels side by side: row, first column and the column behind the last, in the order of rows and columns."""
    steps = np.diff(np.pad(hits_hw, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, begins = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return rows.tolist(), begins.tolist(), ends.tolist()


def _join_runs(rows: list[int], begins: list[int], ends: list[int]) -> list[int]:
    """For each run the first one of its target."""
    roots = list(range(len(rows)))

    def find(run: int) -> int:
        while roots[run] != run:
            roots[run] = run = roots[roots[run]]
        return run

    above = 0  # the first run that may touch the next one from the row above it
    for run, row in enumerate(rows):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] < begins[run]):
            above += 1
        other = above
        while rows[other] == row - 1 and begins[other] <= ends[run]:
            first, second = sorted((find(run), find(other)))
            roots[second] = first
            other += 1
    return [find(run) for run in range(len(rows))]
