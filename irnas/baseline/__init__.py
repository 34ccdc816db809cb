"""Detectors that learn nothing: what a network has to beat.

Each maps image_hw, uint8 [H, W], to a score map, float32 [H, W] in 0..1 (irnas.baseline.scale); a threshold
(irnas.baseline.threshold) turns scores into targets. An image without contrast gets a map of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from irnas.baseline.background import max_median, top_hat
from irnas.baseline.contrast import mpcm, tllcm
from irnas.baseline.patch_image import ipi
from irnas.baseline.patch_tensor import pstnn
from irnas.baseline.scale import Image, Score
from irnas.core.errors import SettingsError
from irnas.core.text import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A detector and where it comes from."""

    name: str
    title: str
    paper: str
    score: Callable[[Image], Score]


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(name="top-hat", title="Top-Hat", paper="Zeng et al., 2006", score=top_hat),
        Method(name="max-median", title="Max-Median", paper="Deshpande et al., 1999", score=max_median),
        Method(name="mpcm", title="MPCM", paper="Wei et al., 2016", score=mpcm),
        Method(name="tllcm", title="TLLCM", paper="Han et al., 2020", score=tllcm),
        Method(name="ipi", title="IPI", paper="Gao et al., 2013", score=ipi),
        Method(name="pstnn", title="PSTNN", paper="Zhang and Peng, 2019", score=pstnn),
    )
}


def find_method(name: str) -> Method:
    """The method called ``name``.

    Raises:
        SettingsError: there is none.
    """
    if name not in METHODS:
        raise SettingsError(f"baseline: got {name!r}; one of {', '.join(METHODS)}{did_you_mean(name, METHODS)}")
    return METHODS[name]
