"""Backgrounds have the spectrum, the mean and the spread that were asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from irnas.core.errors import DataError
from irnas.data.scene import KINDS, Look, SceneSettings, background, draw_look, power_law


def _slope(field: np.ndarray) -> float:
    """Exponent of the radial power spectrum between 0.02 and 0.25 cycles per pixel, by least squares."""
    side = field.shape[0]
    window = np.hanning(side)[:, None] * np.hanning(side)[None, :]
    power = np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    edges = np.geomspace(0.02, 0.25, 13)
    rings = [(radius >= a) & (radius < b) for a, b in itertools.pairwise(edges)]
    x = [np.log(radius[r].mean()) for r in rings]
    return -float(np.polyfit(x, [np.log(power[r].mean()) for r in rings], 1)[0])


@pytest.mark.parametrize("slope", [2.0, 3.0, 4.0])
def test_a_field_has_the_power_law_that_was_asked_for(slope: float) -> None:
    slopes = [_slope(power_law(np.random.default_rng(k), 192, 192, slope)) for k in range(5)]
    # The fit's own scatter over seeds is about 0.1.
    assert abs(np.mean(slopes) - slope) < 0.2


def test_a_field_is_standard_and_does_not_wrap_around() -> None:
    field = power_law(np.random.default_rng(0), 60, 90, 3.0)
    assert field.shape == (60, 90)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 1e-4
    assert abs(field.std() - 1) < 1e-4
    inner = np.abs(np.diff(field, axis=1)).mean()
    assert np.abs(field[:, 0] - field[:, -1]).mean() > 3 * inner


def test_stretching_draws_features_out_sideways() -> None:
    field = power_law(np.random.default_rng(0), 128, 128, 3.0, stretch=4.0)
    assert np.abs(np.diff(field, axis=0)).mean() > 2 * np.abs(np.diff(field, axis=1)).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 96), (33, 32)])
def test_a_scene_has_the_level_and_spread_of_its_look(kind: str, shape: tuple[int, int]) -> None:
    look = Look(kind=kind, slope=3.2, span=20.0, level=100.0)
    for seed in range(4):
        scene = background(np.random.default_rng(seed), *shape, look)
        assert scene.shape == shape
        assert scene.dtype == np.float32
        assert abs(scene.mean() - 100) < 0.01
        assert abs(scene.std() - 20) < 0.01


def test_kinds_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    settings = SceneSettings(mix=(0.5, 0.0, 0.5, 0.0, 0.0))
    kinds = [draw_look(rng, settings).kind for _ in range(200)]
    assert set(kinds) == {"clear", "sea"}
    # 200 draws at one half: three standard deviations are 21.
    assert abs(kinds.count("sea") - 100) < 22


@pytest.mark.parametrize("mix", [(1.0, 0.0), (0.5, 0.2, 0.1, 0.1, 0.0), (1.5, -0.5, 0.0, 0.0, 0.0)])
def test_shares_that_are_none_are_refused(mix: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="scene mix: got"):
        SceneSettings(mix=mix)  # type: ignore[arg-type]
