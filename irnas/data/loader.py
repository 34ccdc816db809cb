"""Batches of random crops for training. Shapes: n = batch, c = 1 channel, h = w = crop.

The cost is a few copies of small arrays: images are already decoded and mapped, and target pixels already listed, so
a forced crop searches nothing. tests/bench/loader.py measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.data.clutter import draw_clutter
from irnas.data.dataset import Split
from irnas.data.paste import cut_target, paste_target
from irnas.data.resize import resize_image, resize_mask
from irnas.data.sample import Bytes

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]

GAIN = 0.1
OFFSET = 0.03
"""Half widths of the brightness jitter x -> gain * x + offset, with x in 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cutting:
    """How crops come from images; the arguments of ``batches`` that say so."""

    split: Split
    crop: int
    target_share: float
    flips: bool
    brightness: bool
    paste: float
    clutter: float
    whole_images: bool
    mirror: bool
    frames: int


def num_batches(num_images: int, batch: int) -> int:
    """The batches of a pass over so many images; see ``batches``."""
    full, rest = divmod(num_images, batch)
    return full + (rest > 1 or rest == num_images == 1)


def batches(
    split: Split,
    *,
    batch: int,
    crop: int,
    seed: int,
    epoch: int,
    target_share: float = 0.5,
    flips: bool = True,
    brightness: bool = True,
    paste: float = 0.0,
    clutter: float = 0.0,
    whole_images: bool = False,
    mirror: bool = False,
    frames: int = 1,
) -> Iterator[Batch]:
    """One pass over a split, shuffled: x float32 in 0..1 [N, frames, crop, crop], y uint8 [N, 1, crop, crop]: 0, 1,
    or 2 where nobody cares.

    The order and every crop depend on (seed, epoch) only, not on how far another epoch was read. The last batch may be
    smaller; a last batch of a single image is left out where there are others, because batch statistics of one image
    mean little, so that image waits for another epoch.

    Args:
        split: images of any size; smaller ones are filled up at the bottom and right.
        batch: images per batch, at least 1.
        crop: side of the crops, in pixels.
        seed: of the whole training.
        epoch: number of the pass.
        target_share: probability that a crop must contain a target pixel, where the image has one.
        flips: flip and rotate crops, all 8 ways.
        brightness: jitter gain and offset.
        paste: share of the crops into which a target of any image of the split is laid; see irnas.data.paste.
        clutter: share of the crops into which a bright or dark structure is drawn; see irnas.data.clutter.
        whole_images: resize every image to crop x crop instead of cutting and padding.
        mirror: fill up with mirror images of the image, and of its mask, instead of zeros.
        frames: of the window that each image ends, oldest first; all are cut and turned alike.

    Raises:
        DataError: a batch, a crop or frames below 1, a share outside 0..1, or windows into which
            something is to be laid.
    """
    for what, value in (("batch", batch), ("crop", crop), ("frames", frames)):
        if value < 1:
            raise DataError(f"loader {what}: got {value}; must be at least 1")
    for what, share in (("target_share", target_share), ("paste", paste), ("clutter", clutter)):
        if not 0 <= share <= 1:
            raise DataError(f"loader {what}: got {share}; must be in 0..1")
    for what, share in (("paste", paste), ("clutter", clutter)):
        if share and frames > 1:
            raise DataError(f"loader {what}: got windows of {frames} frames; must be single images, or 0")
    cutting = _Cutting(
        split=split,
        crop=crop,
        target_share=target_share,
        flips=flips,
        brightness=brightness,
        paste=paste,
        clutter=clutter,
        whole_images=whole_images,
        mirror=mirror,
        frames=frames,
    )
    return _batches(cutting, batch, (seed, epoch))


def _batches(cutting: _Cutting, batch: int, seeds: tuple[int, int]) -> Iterator[Batch]:
    # What is laid in has chances of its own, so that all else is drawn as without it.
    paste_rng, clutter_rng = (np.random.default_rng([*seeds, stream]) for stream in (1, 2))
    plan, crop = plan_pass(len(cutting.split), seeds), cutting.crop
    for number in range(num_batches(len(plan), batch)):
        chosen = plan[number * batch : (number + 1) * batch]
        x_nchw = np.zeros((len(chosen), cutting.frames, crop, crop), dtype=np.float32)
        y_nchw = np.zeros((len(chosen), 1, crop, crop), dtype=np.uint8)
        for place, (i, draw) in enumerate(chosen):
            _write_crop(cutting, i, draw, (paste_rng, clutter_rng), x_nchw[place], y_nchw[place, 0])
        yield x_nchw, y_nchw


def _write_crop(
    cutting: _Cutting,
    i: int,
    draw: Draw,
    rngs: tuple[np.random.Generator, np.random.Generator],
    x_chw: npt.NDArray[np.float32],
    y_hw: Bytes,
) -> None:
    """Write a crop of image ``i`` to zeroed arrays; ``rngs`` are the chances of what is pasted, and of clutter."""
    split = cutting.split
    images, mask = split.window(i, cutting.frames), split.mask(i)
    if not cutting.whole_images:
        window = draw_window(split, i, cutting.crop, draw, cutting.target_share)
        images, mask = [image[window] for image in images], mask[window]
        if cutting.mirror:
            images, mask = [_mirrored(image, cutting.crop) for image in images], _mirrored(mask, cutting.crop)
    if cutting.paste and rngs[0].random() < cutting.paste:
        images, mask = _with_target(split, images, mask, rngs[0])
    if cutting.clutter and rngs[1].random() < cutting.clutter:
        images = [images[0].copy()]
        draw_clutter(images[0], mask, rngs[1])
    if cutting.whole_images:
        images, mask = [resize_image(image, cutting.crop) for image in images], resize_mask(mask, cutting.crop)
    if cutting.flips:
        way = int(draw.way * 8)
        images, mask = [_flip(image, way) for image in images], _flip(mask, way)
    gain, offset = 1.0, 0.0
    if cutting.brightness:
        gain, offset = brightness_of(draw)
    y_hw[: mask.shape[0], : mask.shape[1]] = mask
    for channel, image in enumerate(images):
        _write_scaled(image, gain, offset, x_chw[channel])


def _with_target(split: Split, images: list[Bytes], mask: Bytes, rng: np.random.Generator) -> tuple[list[Bytes], Bytes]:
    """A crop with a target of any image of the split laid into it, where there is room."""
    target = cut_target(split, int(rng.integers(len(split))), rng.random())
    if target is None:
        return images, mask
    image, mask = images[0].copy(), mask.copy()
    paste_target(target, image, mask, rng)
    return [image], mask


class Draw(NamedTuple):
    """What chance decides about one crop; each number even in 0..1."""

    force: float
    pixel: float
    top: float
    left: float
    way: float
    gain: float
    offset: float


def plan_pass(num_images: int, seeds: tuple[int, int]) -> list[tuple[int, Draw]]:
    """The images of a pass in their order, each with what chance decides about its crop."""
    rng = np.random.default_rng(seeds)
    order = rng.permutation(num_images).tolist()
    # All draws of the pass at once: a generator call per number would cost more than the copies.
    draws = rng.random((num_images, len(Draw._fields))).tolist()
    return [(i, Draw(*row)) for i, row in zip(order, draws, strict=True)]


def brightness_of(draw: Draw) -> tuple[float, float]:
    """Gain and offset of a crop whose brightness is jittered."""
    return 1 + GAIN * (2 * draw.gain - 1), OFFSET * (2 * draw.offset - 1)


def draw_window(split: Split, i: int, crop: int, draw: Draw, target_share: float) -> tuple[slice, slice]:
    """Rows and columns of a crop, at most ``crop`` of each."""
    height, width = split.shape(i)
    pixels = split.pixels(i)
    y = x = None
    if draw.force < target_share and len(pixels):
        y, x = divmod(int(pixels[int(draw.pixel * len(pixels))]), width)
    top, left = _draw_origin(draw.top, height, crop, y), _draw_origin(draw.left, width, crop, x)
    return slice(top, top + crop), slice(left, left + crop)


def _draw_origin(draw: float, length: int, crop: int, must: int | None) -> int:
    """A crop's first row: evenly among all that fit, or among those whose crop contains the row ``must``."""
    last = max(length - crop, 0)
    low, high = (0, last) if must is None else (max(0, must - crop + 1), min(must, last))
    return low + int(draw * (high - low + 1))


def _mirrored(array: Bytes, side: int) -> Bytes:
    """An array with its own mirror images at the bottom and right, so that both sides are at least ``side``."""
    missing = [(0, max(side - length, 0)) for length in array.shape]
    return np.pad(array, missing, mode="symmetric") if any(after for _, after in missing) else array


def _flip(array: Bytes, way: int) -> Bytes:
    """One of the 8 flips and rotations of a square."""
    if way & 4:
        # Rows of 256 bytes would share few cache lines when read by column; rows a line longer do not, which makes
        # the transpose twice as fast.
        height, width = array.shape
        padded = np.empty((height, width + 64), dtype=np.uint8)[:, :width]
        padded[...] = array
        array = padded.T
    return np.ascontiguousarray(array[:: -1 if way & 2 else 1, :: -1 if way & 1 else 1])


def _write_scaled(image: Bytes, gain: float, offset: float, out: npt.NDArray[np.float32]) -> None:
    """Write gain * image / 255 + offset, clipped to 0..1, to the top left of zeroed ``out``; the rest stays zero."""
    rows, columns = image.shape
    np.multiply(image, np.float32(gain / 255), out=out[:rows, :columns])
    if (gain, offset) == (1, 0):
        return
    # One pass over the whole crop is faster than many over its rows, even with the padding to be cleared again.
    out += np.float32(offset)
    # Two looks at bytes are cheaper than one clip of floats, and few images reach black and white.
    if int(image.min()) * gain / 255 + offset < 0 or int(image.max()) * gain / 255 + offset > 1:
        np.clip(out, np.float32(0), np.float32(1), out=out)
    out[rows:] = 0
    out[:rows, columns:] = 0
