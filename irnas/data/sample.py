"""One image with its mask: what importers and the generator produce, and what shards store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError

Bytes = npt.NDArray[np.uint8]
IGNORED = 2
"""In a mask: neither target nor background, whatever a network says there."""
Progress = Callable[[str, int, int], None]
"""Called as progress(what, done, total) while something long is going on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An infrared image and its target mask.

    Images of a sequence share ``sequence`` and are numbered by ``frame``; a single image has "" and 0.
    """

    name: str
    """Unique in its data set; the name without folder prefix and extension that split lists use."""
    image: Bytes
    """uint8 [H, W], grey."""
    mask: Bytes
    """uint8 [H, W], 1 on targets, ``IGNORED`` where nobody cares, and 0 elsewhere."""
    sequence: str = ""
    frame: int = 0

    def __post_init__(self) -> None:
        where = f"image {self.name!r}"
        for what, array in (("image", self.image), ("mask", self.mask)):
            if array.dtype != np.uint8 or array.ndim != 2 or array.size == 0:
                raise DataError(f"{where}: got a {what} of {array.dtype} {list(array.shape)}; must be uint8 [H, W]")
        if self.image.shape != self.mask.shape:
            got = f"an image of {_size(self.image)} with a mask of {_size(self.mask)}"
            raise DataError(f"{where}: got {got}; must be of one size")
        if self.mask.max() > IGNORED:
            raise DataError(f"{where}: got a mask value {self.mask.max()}; must be 0, 1 or {IGNORED}")


def _size(array: Bytes) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
