"""Infrared backgrounds without targets: sky, cloud, sea, ground and town as float fields in grey levels (DN).

Natural infrared scenes have power spectra near f^-a. Each kind shapes such a field by its own means, then takes a
mean and a standard deviation drawn from what real sets show. The figures behind the defaults were measured on SIRST,
NUDT-SIRST and IRSTD-1K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from irnas.core.errors import DataError

Field = npt.NDArray[np.float32]
KINDS = ("clear", "cloud", "sea", "ground", "town")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """How backgrounds are drawn. Pairs are (mean, standard deviation) of a normal law."""

    mix: tuple[float, float, float, float, float] = (0.30, 0.42, 0.08, 0.10, 0.10)
    """Shares of clear sky, cloud, sea, ground and town."""
    slope: tuple[float, float] = (3.2, 0.7)
    """Exponent a of the power spectrum f^-a; clipped to 1.6..4.8."""
    log_span: tuple[float, float] = (2.85, 0.9)
    """Natural logarithm of the scene's standard deviation in DN; clipped to 2.5..75 DN."""
    level: tuple[float, float] = (110.0, 38.0)
    """Mean grey level in DN; clipped to 15..220."""

    def __post_init__(self) -> None:
        if len(self.mix) != len(KINDS) or min(self.mix) < 0 or abs(sum(self.mix) - 1) > 1e-6:
            raise DataError(f"scene mix: got {self.mix}; must be {len(KINDS)} shares that sum to 1")


def power_law(rng: np.random.Generator, height: int, width: int, slope: float, stretch: float = 1.0) -> Field:
    """A random field [height, width] with power spectrum f^-slope, mean 0 and standard deviation 1.

    ``stretch`` above 1 draws its features out sideways. It is cut from a larger periodic field, so edges do not match.
    """
    rows, columns = _next_fast_length(height + height // 4), _next_fast_length(width + width // 4)
    fy = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(columns).astype(np.float32)[None, :] * np.float32(stretch)
    power = fy * fy + fx * fx
    power[0, 0] = 1.0
    amplitude = power ** np.float32(-slope / 4)
    amplitude[0, 0] = 0.0
    shape = (2, *amplitude.shape)
    noise = rng.standard_normal(shape, dtype=np.float32)
    spectrum = (noise[0] + 1j * noise[1]) * amplitude
    field = np.fft.irfft2(spectrum, s=(rows, columns))[:height, :width].astype(np.float32)
    return _standardise(field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one scene is like; several fields of one look belong to one place."""

    kind: str
    slope: float
    span: float
    """Standard deviation in DN."""
    level: float
    """Mean in DN."""


def draw_look(rng: np.random.Generator, settings: SceneSettings) -> Look:
    """The look of one scene."""
    return Look(
        kind=str(rng.choice(KINDS, p=settings.mix)),
        slope=float(np.clip(rng.normal(*settings.slope), 1.6, 4.8)),
        span=float(np.clip(np.exp(rng.normal(*settings.log_span)), 2.5, 75)),
        level=float(np.clip(rng.normal(*settings.level), 15, 220)),
    )


def background(rng: np.random.Generator, height: int, width: int, look: Look) -> Field:
    """A scene [height, width] in DN, before the sensor."""
    field = _DRAW[look.kind](rng, height, width, look.slope)
    return np.float32(look.level) + np.float32(look.span) * _standardise(field)


def _draw_clear(rng: np.random.Generator, height: int, width: int, slope: float) -> Field:
    return _draw_gradient(rng, height, width) + np.float32(rng.uniform(0.1, 0.5)) * power_law(rng, height, width, slope)


def _draw_cloud(rng: np.random.Generator, height: int, width: int, slope: float) -> Field:
    gain = rng.uniform(1, 6)
    bulk = power_law(rng, height, width, slope)
    # Softplus keeps the clear part flat and lets the cloud's body rise: the contrast of real cumulus edges.
    shaped = np.logaddexp(0, np.float32(gain) * (bulk - np.float32(rng.uniform(-0.6, 0.8)))) / np.float32(gain)
    detail = power_law(rng, height, width, max(slope - 1, 1.0))
    light = np.float32(rng.uniform(0, 0.8)) * _draw_gradient(rng, height, width)
    return np.asarray(_standardise(shaped) + np.float32(0.12) * detail + light, dtype=np.float32)


def _draw_sea(rng: np.random.Generator, height: int, width: int, slope: float) -> Field:
    waves = power_law(rng, height, width, slope, stretch=4.0)
    glints = np.zeros((height, width), dtype=np.float32)
    spots = rng.random((height, width), dtype=np.float32) < rng.uniform(0, 0.002)
    glints[spots] = rng.uniform(1, 4, int(spots.sum()))
    # The factor undoes what blurring takes from a peak, so that glints rise 1 to 4 sigma. Brighter ones would be
    # small targets without a label.
    glints = ndimage.gaussian_filter(glints, (0.5, 1.2)) * np.float32(2 * np.pi * 0.5 * 1.2)
    light = np.float32(rng.uniform(0, 0.5)) * _draw_gradient(rng, height, width)
    return np.asarray(waves + glints + light, dtype=np.float32)


def _draw_ground(rng: np.random.Generator, height: int, width: int, slope: float) -> Field:
    land = power_law(rng, height, width, max(slope - 0.6, 1.2))
    sky = np.float32(0.15) * power_law(rng, height, width, slope) + np.float32(rng.uniform(-2, 2))
    line = rng.uniform(0.15, 0.75) * height + rng.uniform(1, 6) * power_law(rng, 1, width, 2.0)[0]
    edge = np.clip(np.arange(height, dtype=np.float32)[:, None] - line[None, :], -1, 1) / 2 + np.float32(0.5)
    return np.asarray(land * edge + sky * (1 - edge), dtype=np.float32)


def _draw_town(rng: np.random.Generator, height: int, width: int, slope: float) -> Field:
    field = np.float32(0.5) * power_law(rng, height, width, slope)
    for _ in range(int(rng.integers(4, 26))):
        tall, wide = (int(rng.uniform(0.05, 0.4) * side) + 2 for side in (height, width))
        top, left = int(rng.integers(-tall // 2, height)), int(rng.integers(-wide // 2, width))
        block = field[max(top, 0) : top + tall, max(left, 0) : left + wide]
        block *= np.float32(0.3)
        block += np.float32(rng.normal(0, 1))
        if rng.random() < 0.3:
            block += _draw_facade(rng, *block.shape)
    return field


def _draw_facade(rng: np.random.Generator, height: int, width: int) -> Field:
    """Rows of windows."""
    phase_y, phase_x = (np.arange(n) % int(rng.integers(4, 10)) < 2 for n in (height, width))
    return np.asarray(rng.uniform(0.1, 0.5) * (phase_y[:, None] & phase_x[None, :]), dtype=np.float32)


_DRAW = {"clear": _draw_clear, "cloud": _draw_cloud, "sea": _draw_sea, "ground": _draw_ground, "town": _draw_town}


def _draw_gradient(rng: np.random.Generator, height: int, width: int) -> Field:
    """A linear and a weaker quadratic ramp in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    along = np.float32(np.sin(angle)) * y + np.float32(np.cos(angle)) * x
    return _standardise(along + np.float32(rng.normal(0, 0.4)) * along * along)


def _standardise(field: Field) -> Field:
    sigma = float(field.std())
    return np.asarray((field - field.mean()) / (sigma if sigma > 1e-6 else 1.0), dtype=np.float32)


def _next_fast_length(length: int) -> int:
    """The next length that a Fourier transform likes: 2^a 3^b 5^c."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
