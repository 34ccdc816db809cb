"""Image files as uint8 arrays. Every decision beyond plain reading is noted, and ends up in the manifest.

Published sets come as palette, colour, alpha, 1-bit and 16-bit files. An array taken straight from a palette file holds
palette indices, and one from a 16-bit file is cut off at 255; both look plausible and are wrong. What more than 8 bits
become is said by ``irnas.runtime.value_range``.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.data.sample import Bytes
from irnas.runtime.value_range import Counts, ValueRange, measure_range

EXTENSIONS = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm")
_DEEP = ("I", "F")
MAX_PIXELS = 1 << 26
"""Of an image: 8192x8192. What is larger is refused by its header, before it takes memory."""
_BAND_PIXELS = 1 << 20
_STORED = "irnas_stored"
"""Where an opened image says how its file stores pixels: Pillow's raw mode, and a PNM file's largest value or 0."""


@dataclass(slots=True)
class Notes:
    """What decoding had to decide, gathered over a data set."""

    palette: int = 0
    coloured: int = 0
    """Images whose channels differ."""
    chroma: int = 0
    """Largest difference between the channels of one pixel."""
    deep: list[str] = field(default_factory=list)
    """Images of more than 8 bits."""
    value_range: ValueRange | None = None
    """What these are read by; None reads each by a range of its own."""
    measure: Callable[[Counts], None] | None = None
    """Is called with the counts [H, W] of each of them, before they are read by a range."""

    def sentences(self) -> list[str]:
        """The notes as warnings, worst last."""
        sentences = []
        if self.palette:
            sentences.append(f"{self.palette} images are palette files: read through the palette")
        if self.coloured:
            sentences.append(
                f"{self.coloured} images are not exactly grey (channels up to {self.chroma} apart): took the luma"
            )
        if self.deep:
            source = self.value_range or "the range of each image"
            sentences.append(f"{count_files(self.deep)} of more than 8 bits: {source} became 0..255")
        return sentences


def read_image(path: Path, notes: Notes, page: int = 0) -> Bytes:
    """A grey image, uint8 [H, W]; of a file of many pages, one page.

    Colour becomes ITU-R 601 luma. Of more than 8 bits, the range of ``notes`` becomes 0..255.

    Raises:
        DataError: the file cannot be read, or has more than 8 bits and colour or alpha.
    """
    with open_image(path, page) as file:
        mode = file.mode
        if mode.startswith(_DEEP):
            return _to_8_bits(_counts_of(file), path, notes)
        if _is_deep_colour(file):
            got = "colour or alpha of more than 8 bits"
            raise DataError(f"image {path}: got {got}; must be grey of 16 bits, or have 8 bits a channel")
        notes.palette += mode == "P"
        if mode != "L":
            _note_colour(file, notes)
        return np.asarray(file.convert("L"), dtype=np.uint8)


def _to_8_bits(values: npt.NDArray[Any], path: Path, notes: Notes) -> Bytes:
    if not np.isfinite(values).all():
        raise DataError(f"image {path}: got values that are not finite; must be numbers")
    notes.deep.append(path.name)
    if notes.measure is not None:
        notes.measure(values)
    return (notes.value_range or measure_range(values)).map(values)


def is_deep(path: Path) -> bool:
    """Whether an image file has more than 8 bits, by its header alone; False where it cannot be read."""
    from PIL import Image

    if not path.is_file():
        return False
    try:
        with _open(path) as file:
            return str(file.mode).startswith(_DEEP)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _counts_of(file: Any) -> Counts:
    """The numbers in the file: Pillow scales those of a PNM file of 10, 12 or 14 bits to 16."""
    values, most = np.asarray(file), file.info[_STORED][1]
    return np.rint(values * (most / 65535)).astype(np.uint16) if most else values


def _is_deep_colour(file: Any) -> bool:
    raw_mode, most = file.info[_STORED]
    return ";16" in raw_mode or most > 255


def _storage_of(file: Any) -> tuple[str, int]:
    arguments = file.tile[0][3] if file.tile else ""
    raw_mode, *more = arguments if isinstance(arguments, tuple) else (arguments,)
    is_pnm = file.format == "PPM" and more and isinstance(more[0], int)
    return str(raw_mode), more[0] if is_pnm else 0


def _note_colour(file: Any, notes: Notes) -> None:
    width, height = file.size
    rows, apart = max(_BAND_PIXELS // max(width, 1), 1), 0
    # In bands: all channels of a large image at once would take twenty times its memory.
    for top in range(0, height, rows):
        band = file.crop((0, top, width, min(top + rows, height)))
        channels = np.asarray(band.convert("RGB"), dtype=np.int16)
        apart = max(apart, int((channels.max(2) - channels.min(2)).max()))
    notes.coloured += apart > 0
    notes.chroma = max(notes.chroma, apart)


def _open(path: Path) -> Any:
    """A file as Pillow opens it, without its warning of large images: which are too large is said here."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path)


@contextlib.contextmanager
def open_image(path: Path, page: int = 0) -> Iterator[Any]:
    """An image file opened at one of its pages, decoded, as Pillow's image.

    Raises:
        DataError: the file cannot be read, or holds more than ``MAX_PIXELS``.
    """
    from PIL import Image

    if path.exists() and not path.is_file():
        # A pipe would be waited for.
        raise DataError(f"image {path}: got no regular file; must be one")
    try:
        # The picture is decoded here, so that a file cut short fails inside this block and is named.
        with _open(path) as file:
            file.seek(page)
            if (pixels := file.width * file.height) > MAX_PIXELS:
                got = f"{file.width}x{file.height}, which is {pixels} pixels"
                raise DataError(f"image {path}: got {got}; must have at most {MAX_PIXELS}, such as tiles of it")
            file.info[_STORED] = _storage_of(file)
            file.load()
            yield file
    except (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"image {path}: got a file that cannot be read ({error}); must be a whole image") from None


def count_files(names: list[str]) -> str:
    """How many files these are, and which is the first."""
    return f"{len(names)} {'file' if len(names) == 1 else 'files'} ({names[0]}{', ...' if len(names) > 1 else ''})"
