"""What a camera does to a scene: blur, noise, fixed patterns, bad pixels, 8 bits and, often, JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from irnas.data.sample import Bytes
from irnas.data.scene import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSettings:
    """How a sensor is drawn: shares are probabilities that an image has the effect."""

    blur: tuple[float, float] = (0.6, 1.1)
    """Sigma of the optics' blur, in pixels, even between the two."""
    read_noise: float = 0.5
    log_read_noise: tuple[float, float] = (-0.7, 0.7)
    """Natural logarithm of its sigma in DN: mean and standard deviation."""
    shot_noise: float = 0.3
    columns: float = 0.15
    """Share with a fixed pattern of columns, sigma 0.1 to 1.2 DN."""
    rows: float = 0.08
    bad_pixels: float = 0.1
    """Share with isolated hot or dead pixels, at most 1 in 10000, never on a target."""
    jpeg: float = 0.45
    """Share that has been through JPEG at quality 70 to 95."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One camera: what stays the same for all frames of a sequence."""

    read_sigma: float
    shot_gain: float
    pattern: Field
    """Fixed pattern [H, W] in DN."""
    bad: Field
    """NaN where a pixel works, else the grey level it is stuck at, [H, W]."""
    quality: int
    """Of JPEG; 0 for none."""


def draw_sensor(rng: np.random.Generator, height: int, width: int, settings: SensorSettings) -> Sensor:
    """A camera for images of this size."""
    read = float(np.exp(rng.normal(*settings.log_read_noise))) if rng.random() < settings.read_noise else 0.0
    shot = float(rng.uniform(0.01, 0.08)) if rng.random() < settings.shot_noise else 0.0
    pattern = np.zeros((height, width), dtype=np.float32)
    if rng.random() < settings.columns:
        pattern += rng.normal(0, rng.uniform(0.1, 1.2), (1, width)).astype(np.float32)
    if rng.random() < settings.rows:
        pattern += rng.normal(0, rng.uniform(0.1, 1.2), (height, 1)).astype(np.float32)
    bad = np.full((height, width), np.nan, dtype=np.float32)
    if rng.random() < settings.bad_pixels:
        count = int(rng.integers(1, max(2, height * width // 10000 + 1)))
        bad.flat[rng.integers(0, height * width, count)] = rng.choice((0.0, 255.0), count)
    quality = int(rng.integers(70, 96)) if rng.random() < settings.jpeg else 0
    return Sensor(read_sigma=read, shot_gain=shot, pattern=pattern, bad=bad, quality=quality)


def blur(scene: Field, sigma: float) -> Field:
    """The scene through optics of this sigma in pixels."""
    return np.asarray(ndimage.gaussian_filter(scene, sigma, mode="nearest"), dtype=np.float32)


def expose(rng: np.random.Generator, scene: Field, mask: Bytes, sensor: Sensor) -> Bytes:
    """An 8-bit image [H, W] of a blurred scene in DN; ``mask`` keeps bad pixels off targets."""
    signal = scene + sensor.pattern
    if sensor.shot_gain:
        sigma = np.float32(sensor.shot_gain) * np.sqrt(np.maximum(scene, 0))
        signal += sigma * rng.standard_normal(scene.shape, dtype=np.float32)
    if sensor.read_sigma:
        signal += np.float32(sensor.read_sigma) * rng.standard_normal(scene.shape, dtype=np.float32)
    # A margin of one pixel: a hot pixel that touches a target would look like a part of it.
    stuck = ~np.isnan(sensor.bad)
    if stuck.any():
        stuck &= ~ndimage.binary_dilation(mask, np.ones((3, 3), dtype=bool))
        signal = np.where(stuck, sensor.bad, signal)
    image = np.clip(np.rint(signal), 0, 255).astype(np.uint8)
    return _jpeg(image, sensor.quality) if sensor.quality else image


def _jpeg(image: Bytes, quality: int) -> Bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    with Image.open(io.BytesIO(file.getvalue())) as decoded:
        return np.asarray(decoded, dtype=np.uint8).copy()
