"""Point-like and small extended targets: their profiles, where they stand, and how bright they are.

A profile is what the sensor sees of a target of unit peak, already blurred. Its mask holds the pixels above a fifth
of the peak, which is how far annotators of real sets draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from irnas.core.errors import DataError
from irnas.data.sample import Bytes
from irnas.data.scene import Field

MASK_LEVEL = 0.2
"""Share of the peak above which a pixel is a target's."""
MARGIN = 20
"""Pixels around a target in which its background is measured."""
_FINE = 4
"""Sub-samples per pixel side where a profile has a hard edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """How targets are drawn. Pairs are (mean, standard deviation) of a normal law."""

    counts: tuple[float, ...] = (0.04, 0.80, 0.11, 0.035, 0.015)
    """Shares of images with 0, 1, 2, ... targets."""
    log_area: tuple[float, float] = (3.1, 0.87)
    """Natural logarithm of the area in pixels; clipped to 3..300."""
    log_aspect: tuple[float, float] = (0.42, 0.42)
    """Natural logarithm of length over width; clipped to 1..4."""
    log_scr: tuple[float, float] = (2.5, 0.9)
    """Natural logarithm of |mean of target - mean of background| / sigma of background; clipped to ``scr``."""
    scr: tuple[float, float] = (1.0, 40.0)
    contrast: tuple[float, float] = (18.0, 120.0)
    """Floor and cap of a target's mean contrast, in DN."""
    cluster: float = 0.02
    """Share of multi-target images whose targets stand 4 to 15 pixels apart."""

    def __post_init__(self) -> None:
        if min(self.counts) < 0 or abs(sum(self.counts) - 1) > 1e-6:
            raise DataError(f"target counts: got {self.counts}; must be shares that sum to 1")
        if not 0 < self.contrast[0] <= self.contrast[1]:
            raise DataError(f"target contrast: got {self.contrast}; must be a floor above 0 and a cap above it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target's look, apart from where it is."""

    kind: str
    """``gauss``, ``flat`` or ``winged``."""
    area: float
    aspect: float
    angle: float
    """Of the long axis, in radians."""
    blur: float
    """Sigma of the blur of a flat target, in pixels."""


def draw_target(rng: np.random.Generator, settings: TargetSettings) -> Target:
    """The look of one target."""
    return Target(
        kind=str(rng.choice(("gauss", "flat", "winged"), p=(0.62, 0.28, 0.10))),
        area=float(np.clip(np.exp(rng.normal(*settings.log_area)), 3, 300)),
        aspect=float(np.clip(np.exp(rng.normal(*settings.log_aspect)), 1, 4)),
        angle=float(rng.uniform(0, np.pi)),
        blur=float(rng.uniform(0.5, 0.9)),
    )


def profile(target: Target, dy: float, dx: float) -> Field:
    """A target of unit peak on an odd square patch, its centre (dy, dx) pixels off the patch's middle pixel."""
    radius = int(np.ceil(1.6 * np.sqrt(target.area * target.aspect / np.pi) + 3 * target.blur + 2))
    fine = 1 if target.kind == "gauss" else _FINE
    axis = (np.arange((2 * radius + 1) * fine, dtype=np.float32) + np.float32(0.5)) / fine - np.float32(radius + 0.5)
    y, x = axis[:, None] - dy, axis[None, :] - dx
    cos, sin = np.cos(target.angle), np.sin(target.angle)
    along, across = (np.asarray(v, dtype=np.float32) for v in (x * cos + y * sin, y * cos - x * sin))
    field = _SHAPES[target.kind](target, along, across)
    if fine > 1:
        field = ndimage.gaussian_filter(field, target.blur * fine)
        field = field.reshape(2 * radius + 1, fine, 2 * radius + 1, fine).mean((1, 3))
    return np.asarray(field / field.max(), dtype=np.float32)


def _gauss(target: Target, along: Field, across: Field) -> Field:
    # The ellipse where exp(-r^2/2) = MASK_LEVEL has the area pi * 2 ln(1/MASK_LEVEL) * sigma_1 * sigma_2.
    both = target.area / (2 * np.pi * np.log(1 / MASK_LEVEL))
    long, short = np.sqrt(both * target.aspect), np.sqrt(both / target.aspect)
    return np.asarray(np.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2)), dtype=np.float32)


def _flat(target: Target, along: Field, across: Field) -> Field:
    # Blurring moves the mask's edge outwards, by about 0.84 sigma where it lies at a fifth of a straight edge.
    grown = 0.84 * target.blur
    long = max(np.sqrt(target.area * target.aspect / 3.5) - grown, 0.4)
    short = max(np.sqrt(target.area / target.aspect / 3.5) - grown, 0.4)
    inside = (np.abs(along) / long) ** 3 + (np.abs(across) / short) ** 3 <= 1
    return np.asarray(inside, dtype=np.float32)


def _winged(target: Target, along: Field, across: Field) -> Field:
    """A body with wings across it, at 0.7 of its brightness."""
    thick = Target(kind="flat", area=target.area * 0.6, aspect=max(target.aspect, 2.0), angle=0.0, blur=target.blur)
    body = _flat(thick, along, across)
    wing = _flat(thick, across, along)
    return np.asarray(np.maximum(body, 0.7 * wing), dtype=np.float32)


_SHAPES = {"gauss": _gauss, "flat": _flat, "winged": _winged}


Placed = tuple[Target, float, float]
"""A target and its sub-pixel centre (y, x)."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """A target as it lies in an image."""

    window: tuple[slice, slice]
    """Rows and columns of the image."""
    profile: Field
    """Of unit peak, inside the window."""
    mask: Bytes
    """uint8 of 0 and 1, inside the window."""

    def add_to(self, scene: Field, contrast: float) -> None:
        """Brighten a scene so that the mask's pixels gain ``contrast`` DN on average."""
        scene[self.window] += np.float32(contrast / self.profile[self.mask > 0].mean()) * self.profile


def place(rng: np.random.Generator, looks: list[Target], height: int, width: int, clustered: bool) -> list[Placed]:
    """Centres for targets so that masks stay apart by two pixels; a target that finds no room is left out."""
    placed: list[Placed] = []
    for look in looks:
        for _ in range(20):
            if clustered and placed:
                _, y0, x0 = placed[0]
                angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(4, 15)
                y, x = y0 + reach * np.sin(angle), x0 + reach * np.cos(angle)
            else:
                y, x = rng.uniform(2, height - 3), rng.uniform(2, width - 3)
            apart = all(np.hypot(y - b, x - c) > _radius(look) + _radius(a) + 3 for a, b, c in placed)
            if apart and 1 <= y < height - 2 and 1 <= x < width - 2:
                placed.append((look, float(y), float(x)))
                break
    return placed


def render(placed: list[Placed], height: int, width: int) -> list[Rendering]:
    """What an image [height, width] shows of each target; one that lies outside is left out."""
    renderings = []
    for look, y, x in placed:
        row, column = round(y), round(x)
        patch = profile(look, y - row, x - column)
        radius = patch.shape[0] // 2
        top, left = row - radius, column - radius
        rows = slice(max(top, 0), min(top + patch.shape[0], height))
        columns = slice(max(left, 0), min(left + patch.shape[1], width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        visible = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        mask = (visible >= MASK_LEVEL).astype(np.uint8)
        if mask.any():
            renderings.append(Rendering((rows, columns), visible, mask))
    return renderings


def sigma_around(scene: Field, mask: Bytes, window: tuple[slice, slice]) -> float:
    """Standard deviation in DN of the background within ``MARGIN`` of a window; targets are left out."""
    rows, columns = (slice(max(s.start - MARGIN, 0), s.stop + MARGIN) for s in window)
    around = scene[rows, columns][mask[rows, columns] == 0]
    return float(around.std()) if around.size else 1.0


def draw_scr(rng: np.random.Generator, settings: TargetSettings) -> float:
    """A signal-to-clutter ratio."""
    return float(np.clip(np.exp(rng.normal(*settings.log_scr)), *settings.scr))


def _radius(look: Target) -> float:
    return float(np.sqrt(look.area * look.aspect / np.pi))
