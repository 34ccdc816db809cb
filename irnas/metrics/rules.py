"""The switches by which published evaluation codes differ, and the presets that reproduce them.

The codes: BasicIRSTD (github.com/XinyiYing/BasicIRSTD), SCTransNet (xdFai/SCTransNet), DNANet
(YeRen123455/Infrared-Small-Target-Detection), RPCANet (fengyiwu98/RPCANet), RDIAN (sun11999/RDIAN) and DTUM
(TinaLRJ/Multi-frame-infrared-small-target-detection-DTUM); and LimitIRSTD, the contest at ICPR 2024. Their quirks are
kept on purpose: a preset exists to reproduce a printed number.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from irnas.core.errors import SettingsError

Grey = Literal["union", "background"]
"""What a truth pixel between 0 and 1 is. ``union``: from 0.5 on it counts as target area that no prediction can hit, as
in codes that take a histogram bin for the areas but equality for the intersection. ``background``: no target."""

EPSILON = sys.float_info.epsilon
"""2.2e-16, which the codes add to denominators: 0/0 becomes 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to count. The defaults are BasicIRSTD's.

    Targets and predicted blobs are connected components of the binary truth (pixels equal to 1) and of the predicted
    pixels, in raster order of their first pixel; a centroid is the plain mean of a component's pixel coordinates.
    """

    size: int | None = None
    """Resample map and truth to size x size (nearest neighbour) before counting; None counts at their own size."""
    threshold: float = 0.5
    """A pixel is predicted where its score passes this, 0..1."""
    threshold_strict: bool = True
    """Whether a score equal to a threshold fails."""
    threshold_of: Literal["absolute", "relative"] = "absolute"
    """``relative`` divides a map by its own maximum first; a map of zeros then predicts nothing."""
    connectivity: Literal[4, 8] = 8
    """Neighbours that join a component."""
    hit: Literal["centroid", "overlap", "window", "near"] = "centroid"
    """When a target is detected. ``centroid``: a predicted blob is matched to it. ``overlap``: one of its pixels is
    predicted. ``window``: a pixel is predicted in the two rows above and the two columns left of its rounded centroid
    (never, where that leaves the image). ``near``: a pixel is predicted within 1 of one of its pixels; a neighbourhood
    that leaves the image at the top or the left counts as empty."""
    radius: float = 3.0
    """Greatest distance in pixels between the centroids of a match."""
    radius_strict: bool = True
    """Whether a distance equal to the radius fails."""
    matching: Literal["first", "nearest", "optimal"] = "first"
    """Which unused blob within the radius a target takes. Targets choose in raster order, each the ``first`` blob in
    raster order or the ``nearest``; ``optimal`` detects as many targets as possible, at the least sum of distances."""
    false_alarm: Literal["map", "area_list", "background", "far"] = "map"
    """Which pixels are false alarms. ``map``: those of unmatched blobs. ``area_list``: the same, but a blob as large as
    a matched one of its image is forgotten. ``background``: predicted pixels outside the truth, over the background
    pixels. ``far``: predicted pixels more than 4 from every target pixel, over all pixels; the neighbourhood of a
    target pixel that leaves the image at the top or the left excuses nothing."""
    empty: Literal["count", "skip"] = "count"
    """``skip`` leaves images without targets out of pd, fa and the ROC curve."""
    grey_miou: Grey = "union"
    grey_niou: Grey = "union"
    grey_pixel: Grey = "union"
    """Grey truth in precision, recall and F1. Components never hold grey pixels."""
    smoothing: float = EPSILON
    """Added to the denominators of precision, recall, ``background`` fa and the pixel ROC curves. IoU adds EPSILON."""
    f1_smoothing: float = EPSILON
    """Added to the denominator of 2PR / (P + R)."""
    roc: Literal["levels", "pixel", "sigmoid", "target", "shooting"] = "levels"
    """The ROC curve. ``levels``: pixels, at all 256 grey levels of the map rounded to 8 bits (exact for 8-bit maps).
    ``pixel``: pixels, at 0, 0.1, ... 1, strictly above. ``sigmoid``: the same, but every pixel passes 0, as a sigmoid
    is never 0. ``target``: targets by overlap against background pixels, at 0, 0.005, ... 1, not below, on the map
    divided by its maximum. ``shooting``: targets by ``near`` against ``far`` pixels, at DTUM's 50 thresholds, not
    below."""

    def __post_init__(self) -> None:
        for field, kind in get_type_hints(type(self)).items():
            value = getattr(self, field)
            if (options := get_args(kind)) and type(None) not in options and value not in options:
                raise SettingsError(f"rules.{field}: got {value!r}; one of {', '.join(map(str, options))}")
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"rules.threshold: got {self.threshold}; must be in 0..1")
        if self.size is not None and self.size < 1:
            raise SettingsError(f"rules.size: got {self.size}; must be at least 1, or None")
        for name in ("radius", "smoothing", "f1_smoothing"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"rules.{name}: got {getattr(self, name)}; must be above 0")
        if self.false_alarm in ("map", "area_list") and self.hit != "centroid":
            raise SettingsError(
                f"rules.hit: got {self.hit}; must be centroid, which false_alarm={self.false_alarm} needs"
            )


LIMITIRSTD = "limitirstd"
"""The preset of the contest that has a score of its own (``contest.contest_score``)."""

PRESETS: Mapping[str, Rules] = {
    "basicirstd": Rules(),
    "sctransnet": Rules(
        false_alarm="area_list",
        grey_niou="background",
        grey_pixel="background",
        smoothing=1e-3,
        f1_smoothing=1e-5,
        roc="pixel",
    ),
    "dnanet256": Rules(
        size=256,
        false_alarm="area_list",
        grey_niou="background",
        grey_pixel="background",
        smoothing=1e-3,
        f1_smoothing=1e-5,
        roc="sigmoid",
    ),
    "rpcanet": Rules(
        threshold_of="relative",
        hit="overlap",
        false_alarm="background",
        empty="skip",
        grey_miou="background",
        grey_niou="background",
        grey_pixel="background",
        roc="target",
    ),
    "dtum": Rules(
        threshold_strict=False,
        hit="near",
        false_alarm="far",
        grey_miou="background",
        grey_niou="background",
        grey_pixel="background",
        roc="shooting",
    ),
    "rdian": Rules(
        hit="window",
        false_alarm="background",
        grey_miou="background",
        grey_niou="background",
        grey_pixel="background",
        smoothing=1e-3,
        roc="pixel",
    ),
    # The contest is BasicIRSTD's authors'.
    LIMITIRSTD: Rules(),
}
"""Rules by the name that ``--preset`` takes.

``basicirstd`` has no ROC curve of its own and uses the exact one. ``dnanet256`` resamples the finished map, where
DNANet resizes the image before its network sees it: the two agree on 256x256 images. ``rdian`` and ``dtum`` print no
F1, ``dtum`` no IoU either: those use the common definitions. ``rdian`` prints no fa: it is the false-positive rate of
its ROC curve at 0.5.
"""


def preset(name: str) -> Rules:
    """The preset of that name.

    Raises:
        SettingsError: no such preset.
    """
    if name not in PRESETS:
        raise SettingsError(f"preset: got {name!r}; one of {', '.join(PRESETS)}")
    return PRESETS[name]
