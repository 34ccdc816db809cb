"""Image files as uint8 arrays. Every decision beyond plain reading is noted, and ends up in the manifest.

Published sets come as palette, colour, alpha, 1-bit and 16-bit files. An array taken straight from a palette file holds
palette indices, and one from a 16-bit file is cut off at 255; both look plausible and are wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.data.sample import Bytes

EXTENSIONS = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")
THRESHOLD = 127
"""A grey mask value above it is target."""
_ASPECT_TOLERANCE = 0.02
_DEEP = ("I", "F")


@dataclass(slots=True)
class Notes:
    """What decoding had to decide, gathered over a data set."""

    palette: int = 0
    coloured: int = 0
    """Images whose channels differ."""
    chroma: int = 0
    """Largest difference between the channels of one pixel."""
    deep: list[str] = field(default_factory=list)
    grey: list[str] = field(default_factory=list)
    grey_pixels: int = 0
    labels: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    empty: int = 0

    def sentences(self) -> list[str]:
        """The notes as warnings, worst last."""
        sentences = []
        if self.palette:
            sentences.append(f"{self.palette} images are palette files: read through the palette")
        if self.coloured:
            sentences.append(
                f"{self.coloured} images are not exactly grey (channels up to {self.chroma} apart): took the luma"
            )
        if self.empty:
            sentences.append(f"{self.empty} masks are empty")
        if self.deep:
            sentences.append(
                f"{_count_files(self.deep)} of more than 8 bits: stretched from each image's own range to 0..255"
            )
        if self.grey:
            grey = f"{_count_files(self.grey)} with grey mask values ({self.grey_pixels} pixels)"
            sentences.append(f"{grey}: above {THRESHOLD} is target")
        if self.labels:
            sentences.append(
                f"{_count_files(self.labels)} with mask values of at most {THRESHOLD}: every value but 0 is target"
            )
        sentences.extend(f"{text}: resized to nearest neighbours" for text in self.resized)
        return sentences


def read_image(path: Path, notes: Notes) -> Bytes:
    """A grey image, uint8 [H, W].

    Colour becomes ITU-R 601 luma. More than 8 bits are scaled exactly where they are 8 bits times 257, else stretched
    from the image's smallest..largest value to 0..255.

    Raises:
        DataError: the file cannot be read.
    """
    with _open_image(path) as file:
        mode = file.mode
        if mode.startswith(_DEEP):
            return _to_8_bits(np.asarray(file), path, notes)
        notes.palette += mode == "P"
        if mode != "L":
            _note_colour(file, notes)
        return np.asarray(file.convert("L"), dtype=np.uint8)


def read_mask(path: Path, shape: tuple[int, int], notes: Notes) -> Bytes:
    """A target mask of 0 and 1, uint8 [H, W] of the image's ``shape``.

    Values above 127 are target; where a mask has none above 127 (values 0 and 1, or numbered objects), every value but
    0 is. A mask of another size but the same aspect ratio is resized to nearest neighbours.

    Raises:
        DataError: the file cannot be read, or its aspect ratio is not the image's.
    """
    with _open_image(path) as file:
        got = (file.height, file.width)
        if got != shape:
            what = f"mask {path.name}: got {got[1]}x{got[0]} for an image of {shape[1]}x{shape[0]}"
            if abs(got[1] * shape[0] / (got[0] * shape[1]) - 1) > _ASPECT_TOLERANCE:
                raise DataError(f"{what}; must be of one size, or of one aspect ratio")
            notes.resized.append(what)
        deep = file.mode.startswith(_DEEP)
        values = np.asarray(file) if deep else np.asarray(file.convert("L"))
    if deep and values.max(initial=0) > 255:
        values = values // 257
    mask = _to_binary(values, path, notes)
    if got != shape:
        mask = resize_nearest(mask, shape)
    notes.empty += not mask.any()
    return mask


def resize_nearest(mask: Bytes, shape: tuple[int, int]) -> Bytes:
    """The mask at another size: each pixel takes the one its centre falls on.

    Left to Pillow because centres that fall between two pixels are a matter of rounding, and published loaders use it.
    """
    from PIL import Image

    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), dtype=np.uint8)


def _to_binary(values: npt.NDArray[Any], path: Path, notes: Notes) -> Bytes:
    top = values.max(initial=0)
    if top <= THRESHOLD:
        if top > 1:
            notes.labels.append(path.name)
        return np.asarray(values > 0, dtype=np.uint8)
    grey = int(np.count_nonzero((values > 0) & (values < top)))
    if grey:
        notes.grey.append(path.name)
        notes.grey_pixels += grey
    return np.asarray(values > THRESHOLD, dtype=np.uint8)


def _to_8_bits(values: npt.NDArray[Any], path: Path, notes: Notes) -> Bytes:
    if not np.isfinite(values).all():
        raise DataError(f"image {path}: got values that are not finite; must be numbers")
    if values.min() >= 0 and values.max() > 255 and values.max() <= 65535 and not np.any(values % 257):
        return np.asarray(values // 257, dtype=np.uint8)
    notes.deep.append(path.name)
    low, high = float(values.min()), float(values.max())
    return np.asarray(np.rint((values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))), dtype=np.uint8)


def _note_colour(file: Any, notes: Notes) -> None:
    channels = np.asarray(file.convert("RGB"), dtype=np.int16)
    apart = int((channels.max(2) - channels.min(2)).max())
    notes.coloured += apart > 0
    notes.chroma = max(notes.chroma, apart)


@contextlib.contextmanager
def _open_image(path: Path) -> Iterator[Any]:
    from PIL import Image

    try:
        # The picture is decoded here, so that a file cut short fails inside this block and is named.
        with Image.open(path) as file:
            file.load()
            yield file
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"image {path}: got a file that cannot be read ({error}); must be a whole image") from None


def _count_files(names: list[str]) -> str:
    return f"{len(names)} {'file' if len(names) == 1 else 'files'} ({names[0]}{', ...' if len(names) > 1 else ''})"
