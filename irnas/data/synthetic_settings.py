"""What a synthetic data set is made of: how many scenes, how large, and how their targets and sensors look."""

from __future__ import annotations

from dataclasses import dataclass, field

from irnas.core.errors import DataError
from irnas.data.scene import SceneSettings
from irnas.data.sensor import SensorSettings
from irnas.data.target import TargetSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSettings:
    """A synthetic data set."""

    images: int = 400
    """Single images; 0 for a set of sequences."""
    sequences: int = 0
    frames: int = 20
    """Per sequence."""
    size: int = 256
    """Side of the square images, in pixels."""
    seed: int = 0
    test_share: float = 0.2
    """The last images (or sequences) are the test split; the rest is train."""
    drift: float = 1.0
    """Of the background of sequences, largest, in pixels a frame; 0 for frames that are registered already."""
    scene: SceneSettings = field(default_factory=SceneSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    sensor: SensorSettings = field(default_factory=SensorSettings)

    def __post_init__(self) -> None:
        if (self.images > 0) == (self.sequences > 0) or min(self.images, self.sequences) < 0:
            got = f"{self.images} images and {self.sequences} sequences"
            raise DataError(f"synthetic: got {got}; must be one of the two, the other 0")
        if self.sequences and not 5 <= self.frames <= 1000:
            raise DataError(f"synthetic frames: got {self.frames}; must be in 5..1000")
        if not 32 <= self.size <= 2048:
            raise DataError(f"synthetic size: got {self.size}; must be in 32..2048")
        if not 0 <= self.drift <= 2:
            raise DataError(f"synthetic drift: got {self.drift}; must be in 0..2")
        if not 0 < self.test_share < 1 or self.num_test >= self.num_units:
            got = f"{self.test_share} of {self.num_units}"
            raise DataError(f"synthetic test share: got {got}; must leave at least one for train and one for test")
        if self.seed < 0:
            raise DataError(f"synthetic seed: got {self.seed}; must be at least 0")

    @property
    def num_units(self) -> int:
        """Images, or sequences where there are any."""
        return self.images or self.sequences

    @property
    def num_test(self) -> int:
        """Images or sequences of the test split."""
        return max(1, round(self.test_share * self.num_units))


DEFAULT = SyntheticSettings(
    images=400,
    size=128,
    target=TargetSettings(log_area=(3.2, 0.6), log_scr=(2.9, 0.6), scr=(4.0, 40.0), contrast=(35.0, 150.0)),
)
"""The set called ``synthetic``: small, and brighter than SIRST's median (SCR 18 against 10.5, contrast at least 35 DN),
so that a network of a few thousand weights shows what it has learnt after minutes on a laptop. It ranks ideas, it
replaces no benchmark."""

HARD = SyntheticSettings(
    scene=SceneSettings(mix=(0.15, 0.35, 0.15, 0.175, 0.175)),
    target=TargetSettings(log_scr=(1.5, 0.85), scr=(0.5, 40.0), contrast=(11.0, 120.0)),
)
"""Half of the scenes over sea, ground and town, median SCR 4.4: nearer to NUDT-SIRST."""
