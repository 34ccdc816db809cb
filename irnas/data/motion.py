"""Synthetic sequences: a drifting, slowly changing background, a fixed camera, and moving targets.

Low contrast is the point of multi-frame detection, so two targets in five have an SCR of 1 to 3, where one frame alone
does not give them away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from irnas.data.sample import Sample
from irnas.data.scene import Field, background, draw_look
from irnas.data.sensor import blur, draw_sensor, expose
from irnas.data.synthetic_settings import SyntheticSettings
from irnas.data.target import Target, TargetSettings, draw_scr, draw_target, place, render, sigma_around

_SEQUENCE = 1
_EDGE = 4
"""Pixels that sub-pixel shifting may spoil at the rim."""
_DIM_SHARE = 0.4
_OCCLUDED = 0.05
"""Share of a target's frames that pass behind something, in one stretch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One target through a sequence; arrays have one entry per frame."""

    target: Target
    y: Field
    x: Field
    light: Field
    """Flicker around 1; 0 while hidden."""
    scr: float
    floor: float
    """Least contrast in DN."""


def sequence(settings: SyntheticSettings, index: int) -> Iterator[Sample]:
    """The frames of sequence ``index``; they do not depend on how many sequences there are."""
    rng = np.random.default_rng([settings.seed, _SEQUENCE, index])
    side, frames = settings.size, settings.frames
    scene_at = _draw_background(rng, settings)
    tracks = [_draw_track(rng, t, y, x, frames, settings.target) for t, y, x in _draw_targets(rng, settings)]
    sensor = draw_sensor(rng, side, side, settings.sensor)
    contrasts: dict[int, float] = {}
    for t in range(frames):
        scene = scene_at(t)
        mask = np.zeros((side, side), dtype=np.uint8)
        lit = scene.copy()
        for number, track in enumerate(tracks):
            for rendering in render([(track.target, float(track.y[t]), float(track.x[t]))], side, side):
                if track.light[t] > 0:
                    # Set once, where the target first appears: a real one does not dim because clutter grows.
                    sigma = sigma_around(scene, mask, rendering.window)
                    fresh = float(np.clip(track.scr * sigma, track.floor, settings.target.contrast[1]))
                    rendering.add_to(lit, contrasts.setdefault(number, fresh) * float(track.light[t]))
                    mask[rendering.window] |= rendering.mask
        image = expose(rng, lit, mask, sensor)
        yield Sample(name=f"{index:04d}/{t:05d}", image=image, mask=mask, sequence=f"{index:04d}", frame=t)


def _draw_background(rng: np.random.Generator, settings: SyntheticSettings) -> Callable[[int], Field]:
    """A function from frame number to blurred background [size, size] in DN."""
    side, frames = settings.size, settings.frames
    speed, angle = rng.uniform(0, 1), rng.uniform(0, 2 * np.pi)
    t = np.arange(frames)
    paths = (speed * t * f(angle) + rng.normal(0, 0.2, frames) for f in (np.sin, np.cos))
    y, x = (settings.drift * path for path in paths)
    y, x = y - y.min() + _EDGE, x - x.min() + _EDGE
    height, width = (side + int(np.ceil(v.max())) + 2 * _EDGE for v in (y, x))
    look = draw_look(rng, settings.scene)
    optics = rng.uniform(*settings.sensor.blur)
    fields = [blur(background(rng, height, width, look), optics)]
    pace = 0.0
    if look.kind in ("cloud", "sea"):
        fields.append(blur(background(rng, height, width, look), optics))
        pace = 1 / rng.uniform(30, 100)

    def scene_at(frame: int) -> Field:
        # On the quarter circle the blend keeps its standard deviation; a straight mix of two fields would go flat.
        weights = (np.cos(pace * frame), np.sin(pace * frame))
        level = np.float32(look.level)
        blend = level + sum(np.float32(w) * (f - level) for w, f in zip(weights, fields, strict=False))
        return _shift_window(np.asarray(blend, dtype=np.float32), y[frame], x[frame], side)

    return scene_at


def _shift_window(field: Field, y: float, x: float, side: int) -> Field:
    """The window [side, side] whose corner is at (y, x), by cubic interpolation."""
    row, column = int(y), int(x)
    part = field[row - _EDGE : row + side + _EDGE, column - _EDGE : column + side + _EDGE]
    moved = ndimage.shift(part, (row - y, column - x), order=3, mode="nearest")
    return np.asarray(moved[_EDGE : _EDGE + side, _EDGE : _EDGE + side], dtype=np.float32)


def _draw_targets(rng: np.random.Generator, settings: SyntheticSettings) -> list[tuple[Target, float, float]]:
    shares = settings.target.counts
    # A sequence without any target teaches little; empty frames come from targets that leave or hide.
    count = max(1, int(rng.choice(len(shares), p=shares)))
    looks = [draw_target(rng, settings.target) for _ in range(count)]
    return place(rng, looks, settings.size, settings.size, clustered=False)


def _draw_track(
    rng: np.random.Generator, target: Target, y: float, x: float, frames: int, settings: TargetSettings
) -> Track:
    # (y, x) is where the target is in the middle of the sequence, so that it is seen at all; it may enter and leave.
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.05, frames))
    speed = np.clip(rng.uniform(0.1, 2) + np.cumsum(rng.normal(0, rng.uniform(0.02, 0.1), frames)), 0, 2.5)
    path_y, path_x = (np.cumsum(speed * f(heading)) for f in (np.sin, np.cos))
    middle = frames // 2
    flicker = ndimage.gaussian_filter1d(rng.normal(0, 1, frames), 2.0)
    light = 1 + rng.uniform(0.1, 0.2) * flicker / max(float(np.abs(flicker).max()), 1e-6)
    if rng.random() < 0.5:
        length = int(np.ceil(2 * _OCCLUDED * frames))
        first = int(rng.integers(0, frames - length + 1))
        light[first : first + length] = 0
    dim = rng.random() < _DIM_SHARE
    return Track(
        target=target,
        y=(y + path_y - path_y[middle]).astype(np.float32),
        x=(x + path_x - path_x[middle]).astype(np.float32),
        light=light.astype(np.float32),
        scr=float(rng.uniform(1, 3)) if dim else draw_scr(rng, settings),
        floor=3.0 if dim else settings.contrast[0],
    )
