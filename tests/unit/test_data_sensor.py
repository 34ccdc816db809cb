"""The sensor rounds, adds what its settings say, and keeps off targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irnas.data.sensor import Sensor, SensorSettings, draw_sensor, expose

QUIET = Sensor(
    read_sigma=0.0,
    shot_gain=0.0,
    pattern=np.zeros((64, 64), dtype=np.float32),
    bad=np.full((64, 64), np.nan, dtype=np.float32),
    quality=0,
)
SCENE = np.full((64, 64), 100.4, dtype=np.float32)
NO_TARGET = np.zeros((64, 64), dtype=np.uint8)


def _expose(sensor: Sensor, scene: np.ndarray = SCENE, mask: np.ndarray = NO_TARGET, seed: int = 0) -> np.ndarray:
    return expose(np.random.default_rng(seed), scene, mask, sensor)


def test_a_quiet_sensor_rounds_and_saturates() -> None:
    scene = SCENE.copy()
    scene[0, :3] = (-5, 300, 99.6)
    image = _expose(QUIET, scene)
    assert image.dtype == np.uint8
    assert image[0, :3].tolist() == [0, 255, 100]
    assert set(image[1:].flat) == {100}


@pytest.mark.parametrize(("change", "sigma"), [({"read_sigma": 2.0}, 2.0), ({"shot_gain": 0.3}, 0.3 * np.sqrt(100.4))])
def test_noise_has_the_sigma_that_was_asked_for(change: dict[str, float], sigma: float) -> None:
    image = _expose(replace(QUIET, **change)).astype(float)
    # Rounding adds a variance of 1/12; 4096 values fix sigma within 3 %.
    assert image.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.05)


def test_the_pattern_is_fixed_and_noise_is_not() -> None:
    sensor = replace(QUIET, pattern=np.tile(np.arange(64, dtype=np.float32), (64, 1)))
    np.testing.assert_array_equal(_expose(sensor, seed=1), _expose(sensor, seed=2))
    assert _expose(sensor)[7].tolist() == list(range(100, 164))
    noisy = replace(QUIET, read_sigma=2.0)
    assert not np.array_equal(_expose(noisy, seed=1), _expose(noisy, seed=2))


def test_bad_pixels_stand_out_but_never_on_or_beside_a_target() -> None:
    bad = QUIET.bad.copy()
    bad[5, 5], bad[20, 20], bad[21, 23], bad[40, 40] = 255, 255, 0, 0
    mask = NO_TARGET.copy()
    mask[20:22, 20:23] = 1
    image = _expose(replace(QUIET, bad=bad), mask=mask)
    assert (image[5, 5], image[40, 40], image[20, 20], image[21, 23]) == (255, 0, 100, 100)


def test_jpeg_leaves_its_traces() -> None:
    scene = SCENE + np.random.default_rng(0).normal(0, 5, SCENE.shape).astype(np.float32)
    plain, packed = _expose(QUIET, scene), _expose(replace(QUIET, quality=70), scene)
    assert packed.shape == plain.shape
    assert 0 < np.abs(packed.astype(int) - plain).mean() < 5


def test_effects_come_as_often_as_the_settings_say() -> None:
    rng = np.random.default_rng(0)
    sensors = [draw_sensor(rng, 64, 64, SensorSettings()) for _ in range(400)]
    shares = {
        "read": np.mean([s.read_sigma > 0 for s in sensors]),
        "shot": np.mean([s.shot_gain > 0 for s in sensors]),
        "pattern": np.mean([s.pattern.any() for s in sensors]),
        "bad": np.mean([~np.isnan(s.bad).all() for s in sensors]),
        "jpeg": np.mean([s.quality > 0 for s in sensors]),
    }
    wanted = {"read": 0.5, "shot": 0.3, "pattern": 1 - 0.85 * 0.92, "bad": 0.1, "jpeg": 0.45}
    for name, share in wanted.items():
        # Three standard deviations of 400 draws.
        assert abs(shares[name] - share) < 3 * np.sqrt(share * (1 - share) / 400), name
