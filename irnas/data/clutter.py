"""Clutter that small training sets lack: bright frames, bars and shores, drawn where no target is.

A network that has seen targets and calm backgrounds alone takes every bright edge for a target: on SIRST two thirds of
its false pixels lay on the columns of a building, a shore and the frame that some cameras draw around an image. What is
drawn here is larger or longer than any target, and its mask stays background.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from irnas.data.sample import Bytes

TRIES = 4
"""Shapes that are drawn for each image, before it is left as it is: a shape must not touch a target."""
MARGIN = 3
"""Pixels around a target that no shape touches."""
FRAME = 4
"""Pixels that a frame is wide at most."""
BARS, BAR_WIDTH, LEAST_LENGTH = 6, 24, 48
"""The most parallel bars, the most pixels that each is wide, and the least that it is long."""
LEAST_CHANGE, MOST_CHANGE = 30.0, 200.0
"""Grey levels by which a shape is brighter, or darker, than what it covers."""
DARK = 0.25
"""Share of the shapes that are darker."""
_TOUCHES = 0.02
"""A shape is where its strength, 0 to 1, is above this."""

Floats = npt.NDArray[np.float32]


def draw_clutter(image: Bytes, mask: Bytes, rng: np.random.Generator) -> bool:
    """Draw a frame, bars or a shore into an image, away from its targets; whether there was a place for it.

    Args:
        image: uint8 [H, W], changed in place.
        mask: uint8 [H, W]; not 0 where a target is or nobody cares.
        rng: draws the shape.
    """
    occupied = ndimage.binary_dilation(mask > 0, iterations=MARGIN) if mask.any() else None
    for _ in range(TRIES):
        strength = _SHAPES[int(rng.integers(len(_SHAPES)))](image.shape, rng)
        if occupied is not None and (strength[occupied] > _TOUCHES).any():
            continue
        change = rng.uniform(LEAST_CHANGE, MOST_CHANGE) * (-1 if rng.random() < DARK else 1)
        image[...] = np.clip(np.rint(image + np.float32(change) * strength), 0, 255).astype(np.uint8)
        return True
    return False


def _frame(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Lines along one to four borders."""
    strength = np.zeros(shape, dtype=np.float32)
    width = int(rng.integers(1, FRAME + 1))
    sides = (strength[:width], strength[-width:], strength[:, :width], strength[:, -width:])
    for side in rng.permutation(4)[: int(rng.integers(1, 5))].tolist():
        sides[side][...] = 1
    return strength


def _bars(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Parallel bars at even distances: columns, masts, roads, roofs."""
    along, across = _axes(shape, rng)
    width = rng.uniform(2, BAR_WIDTH)
    period = width * rng.uniform(1.5, 4)
    last = int(rng.integers(BARS)) * period
    length = rng.uniform(LEAST_LENGTH, 2 * max(*shape, LEAST_LENGTH))
    nearest = np.clip(np.rint(across / period) * period, 0, last)
    soft = rng.uniform(0.5, 3)
    strength: Floats = _inside(np.abs(across - nearest), width, soft) * _inside(np.abs(along), length, soft)
    return strength


def _shore(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """All that lies beyond a wavy line, and often a surf along it; a ridge or a cloud's edge looks the same."""
    along, across = _axes(shape, rng)
    for _ in range(2):
        across = across + rng.uniform(0, 8) * np.sin(along / rng.uniform(4, 40) + rng.uniform(0, 2 * np.pi))
    land = np.clip(across / np.float32(rng.uniform(1, 6)), 0, 1) * np.float32(rng.choice([0.0, 0.4, 1.0]))
    surf = _inside(np.abs(across), rng.uniform(2, 8), 1.0) * np.float32(rng.uniform(0.5, 1))
    strength: Floats = np.maximum(land, surf).astype(np.float32)
    return strength


def _axes(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Coordinates [H, W] of every pixel along and across a line through any of them; half of the lines are upright or
    level."""
    height, width = shape
    angle = rng.integers(4) * np.pi / 2 if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi)
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.uniform(0, height))
    x = np.arange(width, dtype=np.float32) - np.float32(rng.uniform(0, width))
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def _inside(distance: Floats, width: float, soft: float) -> Floats:
    """1 within half a width of a line, and 0 where it ended ``soft`` pixels ago."""
    strength: Floats = np.clip((np.float32(width / 2) - distance) / np.float32(soft) + 1, 0, 1)
    return strength


_SHAPES: tuple[Callable[[tuple[int, ...], np.random.Generator], Floats], ...] = (_frame, _bars, _shore)
