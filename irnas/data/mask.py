"""Mask files as targets. One rule, and every decision beyond it is noted, printed at import and kept in the manifest.

The rule: 0 is background. Where a mask reaches full white (255, or 65535 in 16 bits), values above half of it are
target, so that 0/255, 1-bit and grey masks with soft edges read alike. Where it does not, its values are numbers (0 and
1, or one number an object, in 8 bits or 16) and every value but 0 is target; soft edges that stay below white are told
from numbers by how many values an object has. A palette stands for its colours where these are greys, else for its
indices: 0 is background (or the one black index), and 255 beside other targets means that nobody cares; so it is in a
grey file whose other values are areas of small indices. Colours count by their brightest channel. Alpha is the mask
where nothing else varies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.data.decode import count_files, open_image
from irnas.data.sample import IGNORED, Bytes

Values = npt.NDArray[Any]

MAX_SHARE = 0.2
"""Of all pixels of a set: small targets never cover more."""
_MAX_SHARE_OF_ONE = 0.9
"""Of the pixels of one mask: beyond it, target and background have changed places."""
_ASPECT_TOLERANCE = 0.02
_ALMOST_GREY = 32
"""Channels this near to each other are a compressed grey."""
_LARGEST_INDEX, _LEAST_AREA = 63, 4
"""Of grey masks that hold indices: the largest that is no grey, and the fewest pixels of one."""
_VOC_BORDER = (224, 224, 192)
"""What index 255 looks like where a mask in the colours of PASCAL VOC was saved without its palette."""


@dataclass(slots=True)
class MaskNotes:
    """What reading masks had to decide, gathered over a data set, and how much of it is target."""

    grey: list[str] = field(default_factory=list)
    grey_pixels: int = 0
    numbered: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    coloured: list[str] = field(default_factory=list)
    alpha: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    ignored_pixels: int = 0
    resized: list[str] = field(default_factory=list)
    empty: int = 0
    white: list[str] = field(default_factory=list)
    """Masks of which every pixel is target."""
    full: list[str] = field(default_factory=list)
    """Masks of which nearly every pixel is target."""
    targets: int = 0
    """Target pixels of all masks."""
    pixels: int = 0

    def sentences(self) -> list[str]:
        """The notes as warnings, worst last."""
        sentences = []
        if self.empty:
            sentences.append(f"{self.empty} masks are empty")
        if self.grey:
            grey = f"{count_files(self.grey)} with grey mask values ({self.grey_pixels} pixels)"
            sentences.append(f"{grey}: above half of white is target (127 of 255)")
        for names, what in (
            (self.numbered, "with mask values that are numbers: every value but 0 is target"),
            (self.indexed, "of indices, most with a palette of colours: every one but background is target"),
            (self.coloured, "with coloured masks: the brightest channel counts"),
            (self.alpha, "with masks of one colour: alpha is the mask"),
        ):
            if names:
                sentences.append(f"{count_files(names)} {what}")
        if self.ignored:
            pixels = f"{count_files(self.ignored)} with pixels that nobody cares about ({self.ignored_pixels})"
            sentences.append(f"{pixels}: neither target nor background in training and validation")
        sentences.extend(f"{text}: resized to nearest neighbours" for text in self.resized)
        return sentences

    def add(self, truth: Bytes, name: str) -> None:
        """Count one mask of 0, 1 and ``IGNORED``."""
        num_targets, num_ignored = (int(np.count_nonzero(truth == value)) for value in (1, IGNORED))
        self.targets += num_targets
        self.pixels += truth.size
        self.empty += not num_targets
        if num_targets > _MAX_SHARE_OF_ONE * truth.size:
            self.full.append(name)
        if num_targets == truth.size:
            self.white.append(name)
        if num_ignored:
            self.ignored.append(name)
            self.ignored_pixels += num_ignored

    def refuse_large_share(self) -> None:
        """Refuse masks that small targets cannot have.

        Raises:
            DataError: more than a fifth of all pixels is target, or nearly all of one mask.
        """
        share = self.targets / max(self.pixels, 1)
        if share <= MAX_SHARE and not self.full:
            return
        if self.full:
            got = f"{count_files(self.full)} with nearly every pixel a target ({share:.1%} of all pixels)"
        else:
            got = f"{share:.1%} of all pixels as targets"
        must = f"must be at most {MAX_SHARE:.0%} of the set and not all of a mask"
        raise DataError(f"masks: got {got}, likely {self._cause()}; {must} (--allow-large-targets insists)")

    def _cause(self) -> str:
        if self.alpha:
            return "alpha that is no mask"
        if self.numbered or self.indexed:
            return "numbers of classes or objects in which 0 is not the background"
        if self.white:
            return "masks that are white all over, as where alpha that was the mask has been lost"
        return "inverted masks (targets black on white)" if self.full else "masks of regions instead of small targets"


def read_mask(path: Path | None, shape: tuple[int, int], notes: MaskNotes, page: int = 0) -> Bytes:
    """A target mask of 0 and 1, and 2 (``IGNORED``) where nobody cares, uint8 [H, W] of the image's ``shape``.

    A mask of another size but the same aspect ratio is resized to nearest neighbours. No path means no target.

    Raises:
        DataError: the file cannot be read, or its aspect ratio is not the image's.
    """
    if path is None:
        truth = np.zeros(shape, dtype=np.uint8)
        notes.add(truth, "")
        return truth
    with open_image(path, page) as file:
        got = (file.height, file.width)
        if got != shape:
            what = f"mask {path.name}: got {got[1]}x{got[0]} for an image of {shape[1]}x{shape[0]}"
            if abs(got[1] * shape[0] / (got[0] * shape[1]) - 1) > _ASPECT_TOLERANCE:
                raise DataError(f"{what}; must be of one size, or of one aspect ratio")
            notes.resized.append(what)
        truth = _read_truth(file, path.name, notes)
    if got != shape:
        truth = resize_nearest(truth, shape)
    notes.add(truth, path.name)
    return truth


def resize_nearest(mask: Bytes, shape: tuple[int, int]) -> Bytes:
    """The mask at another size: each pixel takes the one its centre falls on.

    Left to Pillow because centres that fall between two pixels are a matter of rounding, and published loaders use it.
    """
    from PIL import Image

    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST), dtype=np.uint8)


def _read_truth(file: Any, name: str, notes: MaskNotes) -> Bytes:
    """0, 1 and ``IGNORED`` of an opened picture of any mode."""
    alpha = _alpha_alone(file)
    if alpha is not None:
        notes.alpha.append(name)
        return _of_values(alpha, name, notes)
    if file.mode == "P":
        return _of_palette(np.asarray(file), _colours(file), name, notes)
    if file.mode == "L" or file.mode.startswith(("I", "F")):
        return _of_values(np.asarray(file), name, notes)
    if file.mode in ("1", "LA", "La"):
        return _of_values(np.asarray(file.convert("L")), name, notes)
    return _of_colours(file, name, notes)


def _of_values(values: Values, name: str, notes: MaskNotes) -> Bytes:
    """Targets of one grey channel of any depth."""
    if not np.isfinite(values).all():
        raise DataError(f"mask {name}: got values that are not finite; must be numbers")
    top = values.max(initial=0)
    if values.dtype.kind == "f" and top <= 1:
        return np.asarray(values > 0.5, dtype=np.uint8)
    if top > 255 and (top == 65535 or not np.any(values % 257)):
        values, top = values // 257, top // 257
    if top != 255 and (top <= 127 or _are_numbers(values)):
        if top > 1:
            notes.numbered.append(name)
        return np.asarray(values > 0, dtype=np.uint8)
    if top == 255 and _is_index(values):
        notes.indexed.append(name)
        return np.where(values == 255, IGNORED, values > 0).astype(np.uint8)
    grey = int(np.count_nonzero((values > 0) & (values < top)))
    if grey:
        notes.grey.append(name)
        notes.grey_pixels += grey
    return np.asarray(values > max(127, top // 2 if top > 255 else 0), dtype=np.uint8)


def _are_numbers(values: Values) -> bool:
    """Whether each object has one value, or so few that they number objects that touch."""
    from scipy import ndimage

    labels, _ = ndimage.label(values > 0, structure=np.ones((3, 3), dtype=np.uint8))
    inside = labels > 0
    objects, values_of_objects = labels[inside], values[inside]
    distinct = np.unique(np.stack([objects.astype(np.int64), values_of_objects.astype(np.int64)]), axis=1)[0]
    kinds, sizes = np.bincount(distinct), np.bincount(objects)
    return bool(np.all((kinds <= 1) | (4 * kinds <= sizes)))


def _is_index(values: Values) -> bool:
    """Whether a mask numbers classes or objects and keeps 255 for what nobody cares about, as palettes do.

    Soft edges and compression leave single pixels, or several values side by side; numbers lie in areas of one value.
    """
    from scipy import ndimage

    low = (values > 0) & (values < 255)
    if not low.any() or values[low].max() > _LARGEST_INDEX:
        return False
    labels, number = ndimage.label(low, structure=np.ones((3, 3), dtype=np.uint8))
    sizes = np.bincount(labels[low])[1:]
    kinds = [len(np.unique(values[labels == label])) for label in range(1, number + 1)] if number < 1000 else [2]
    return bool(sizes.min() >= _LEAST_AREA and max(kinds) == 1)


def _of_palette(index: Bytes, colours: Bytes, name: str, notes: MaskNotes) -> Bytes:
    """Targets of a palette file: by its colours where they are greys, else by index."""
    used = np.unique(index)
    used_colours = colours[used]
    is_grey = bool((used_colours.max(axis=1) == used_colours.min(axis=1)).all())
    if is_grey and (used_colours[:, 0] == used).all():
        return _of_values(index, name, notes)
    others = used[(used > 0) & (used < 255)]
    is_border = 255 in used and (others.size > 0 or tuple(colours[255].tolist()) == _VOC_BORDER)
    if is_grey and not (is_border and others.size < 254):
        return _of_values(colours[index][..., 0], name, notes)
    notes.indexed.append(name)
    black = used[(used_colours == 0).all(axis=1)]
    background = black[0] if colours[0].any() and len(black) == 1 else 0
    truth = np.asarray(index != background, dtype=np.uint8)
    if is_border:
        truth[index == 255] = IGNORED
    return truth


def _of_colours(file: Any, name: str, notes: MaskNotes) -> Bytes:
    """Targets of a picture of several channels."""
    channels = np.asarray(file.convert("RGB"))
    brightest = channels.max(axis=2)
    if int((brightest - channels.min(axis=2)).max(initial=0)) <= _ALMOST_GREY:
        return _of_values(np.asarray(file.convert("L")), name, notes)
    notes.coloured.append(name)
    border = (channels == _VOC_BORDER).all(axis=2)
    codes = (channels.astype(np.int64) * (65536, 256, 1)).sum(axis=2) * ~border
    truth = np.asarray(codes > 0 if _are_numbers(codes) else brightest > 127, dtype=np.uint8)
    truth[border] = IGNORED
    return truth


def _alpha_alone(file: Any) -> Values | None:
    """The alpha channel, where it varies and no colour does."""
    if "A" not in file.mode.upper() and not (file.mode == "P" and "transparency" in file.info):
        return None
    channels = np.asarray(file.convert("RGBA")).reshape(-1, 4)
    lowest, highest = channels.min(axis=0), channels.max(axis=0)
    if lowest[3] == highest[3] or (lowest[:3] != highest[:3]).any():
        return None
    return channels[:, 3].reshape(file.height, file.width)


def _colours(file: Any) -> Bytes:
    """The palette, uint8 [256, 3]; black beyond its end."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    entries = np.asarray(file.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    colours[: len(entries)] = entries
    return colours
