"""The batches of a training on its device.

On the CPU they come from ``irnas.data.loader``. A GPU would wait for that: there the images of the split lie on the
device as bytes, and the same crops are cut, turned and lit there (``ResidentFeed``), from the same draws, with nothing
but these crossing over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from irnas.core.recipe import Recipe
from irnas.data import Split
from irnas.data.loader import Draw, batches, brightness_of, draw_window, num_batches, plan_pass
from irnas.data.resize import resize_image, resize_mask
from irnas.training.phases import Phase

RESIDENT_BYTES = 2**30
"""The most that images and masks may take of a GPU's memory; what is larger stays on the host."""
_IGNORED = 2
"""In a mask: nobody cares."""


class Step(NamedTuple):
    """What a step trains on."""

    x_nchw: Tensor
    """float32 in 0..1, channels last."""
    truth_n1hw: Tensor
    """float32: 0 and 1, or above 1 where nobody cares."""
    ignored_n1hw: Tensor | None
    """Where that is; None where the batch has no such pixel, or nobody looked."""


class Feed(Protocol):
    """Where batches come from."""

    def steps(self, phase: Phase, seed: int, epoch: int) -> Iterator[Step]:
        """One pass over the split as the phase has it; order and crops depend on seed and epoch only."""


def make_feed(split: Split, recipe: Recipe, frames: int, device: str) -> Feed:
    """The feed of a training: resident on the device where that is none of the host's and can cut such crops.

    Args:
        split: the images to train on.
        recipe: says what becomes of a crop. What is laid into crops is laid in on the host.
        frames: of the windows that a network sees; those of more than one are cut on the host.
        device: of the training.
    """
    is_plain = frames == 1 and not recipe.paste and not recipe.clutter
    if device != "cpu" and is_plain and 2 * _num_pixels(split) <= RESIDENT_BYTES:
        return ResidentFeed(split, recipe, device)
    return HostFeed(split, recipe, frames, device)


def _num_pixels(split: Split) -> int:
    return sum(height * width for height, width in map(split.shape, range(len(split))))


class HostFeed:
    """Batches that are cut on the host and copied."""

    def __init__(self, split: Split, recipe: Recipe, frames: int, device: str) -> None:
        self._split, self._recipe, self._frames, self._device = split, recipe, frames, device

    def steps(self, phase: Phase, seed: int, epoch: int) -> Iterator[Step]:
        """See ``Feed``."""
        recipe = self._recipe
        for x_nchw, truth_n1hw in batches(
            self._split,
            batch=phase.batch,
            crop=phase.crop,
            seed=seed,
            epoch=epoch,
            target_share=phase.target_share,
            flips="flips" in recipe.augment,
            brightness="brightness" in recipe.augment,
            whole_images=recipe.whole_images,
            mirror=recipe.fill == "mirror",
            paste=recipe.paste,
            clutter=recipe.clutter,
            frames=self._frames,
        ):
            truth = torch.from_numpy(truth_n1hw).to(self._device, torch.float32)
            ignored = truth > 1 if truth_n1hw.max(initial=0) > 1 else None
            x = torch.from_numpy(x_nchw).to(self._device, memory_format=torch.channels_last)
            yield Step(x, truth, ignored)


class _Pixels(NamedTuple):
    """All images of a split, one behind the other."""

    images: Tensor
    """uint8 [K]."""
    masks: Tensor
    """uint8 [K]."""
    starts: list[int]
    """Of each image in them."""
    has_ignored: bool


class ResidentFeed:
    """Batches that are cut on the device; they equal those of ``HostFeed``."""

    def __init__(self, split: Split, recipe: Recipe, device: str) -> None:
        self._split, self._recipe, self._device = split, recipe, device
        self._pixels: dict[int, _Pixels] = {}
        """By the side to which images were resized; 0 for images as they are."""

    def steps(self, phase: Phase, seed: int, epoch: int) -> Iterator[Step]:
        """See ``Feed``."""
        pixels = self._pixels_of(phase.crop if self._recipe.whole_images else 0)
        plan = plan_pass(len(self._split), (seed, epoch))
        crops = np.array([self._crop(pixels, phase, i, draw) for i, draw in plan], dtype=np.int64)
        lights = np.array([self._light(draw) for _, draw in plan], dtype=np.float32)
        # The one crossing of a pass.
        crops_nk, lights_nk = (torch.from_numpy(array).to(self._device, non_blocking=True) for array in (crops, lights))
        for number in range(num_batches(len(plan), phase.batch)):
            chosen = slice(number * phase.batch, (number + 1) * phase.batch)
            yield self._cut(pixels, crops_nk[chosen], lights_nk[chosen], phase.crop)

    def _pixels_of(self, side: int) -> _Pixels:
        if side not in self._pixels:
            split, places = self._split, range(len(self._split))
            images, masks = ([read(i) for i in places] for read in (split.image, split.mask))
            if side:
                images = [resize_image(image, side) for image in images]
                masks = [resize_mask(mask, side) for mask in masks]
            starts = [0, *itertools.accumulate(image.size for image in images)][:-1]
            images_k, masks_k = (np.concatenate([array.ravel() for array in arrays]) for arrays in (images, masks))
            self._pixels[side] = _Pixels(
                torch.from_numpy(images_k).to(self._device),
                torch.from_numpy(masks_k).to(self._device),
                starts,
                bool((masks_k == _IGNORED).any()),
            )
        return self._pixels[side]

    def _crop(self, pixels: _Pixels, phase: Phase, i: int, draw: Draw) -> tuple[int, int, int, int, int]:
        """First pixel, width of the image, rows and columns that it has for the crop, and the way this is turned."""
        way = int(draw.way * 8) if "flips" in self._recipe.augment else 0
        if self._recipe.whole_images:
            return pixels.starts[i], phase.crop, phase.crop, phase.crop, way
        height, width = self._split.shape(i)
        rows, columns = draw_window(self._split, i, phase.crop, draw, phase.target_share)
        start = pixels.starts[i] + rows.start * width + columns.start
        return start, width, min(height, phase.crop), min(width, phase.crop), way

    def _light(self, draw: Draw) -> tuple[float, float]:
        """What a byte is multiplied by, and what is added."""
        gain, offset = brightness_of(draw) if "brightness" in self._recipe.augment else (1.0, 0.0)
        return gain / 255, offset

    def _cut(self, pixels: _Pixels, crops_nk: Tensor, lights_nk: Tensor, side: int) -> Step:
        """A batch of crops; each pixel of it asks for the pixel of the image that it shows."""
        start, width, rows, columns, way = (column[:, None, None] for column in crops_nk.unbind(1))
        line = torch.arange(side, device=self._device)
        y, x = line[:, None], line[None, :]
        is_turned, is_mirrored = (way & 4) > 0, self._recipe.fill == "mirror"
        if is_mirrored:
            height = breadth = torch.full_like(rows, side)
        else:
            height, breadth = torch.where(is_turned, columns, rows), torch.where(is_turned, rows, columns)
        is_outside = (y >= height) | (x >= breadth)
        y = torch.where((way & 2) > 0, height - 1 - y, y)
        x = torch.where((way & 1) > 0, breadth - 1 - x, x)
        row, column = torch.where(is_turned, x, y), torch.where(is_turned, y, x)
        if is_mirrored:
            row, column = _mirrored(row, rows), _mirrored(column, columns)
        place = (start + row * width + column).masked_fill(is_outside, 0)
        gain, offset = (light[:, None, None] for light in lights_nk.unbind(1))
        lit = (pixels.images[place].float() * gain + offset).clamp(0, 1).masked_fill(is_outside, 0)
        truth = pixels.masks[place].float().masked_fill(is_outside, 0)[:, None]
        x_nchw = lit[:, None].contiguous(memory_format=torch.channels_last)
        return Step(x_nchw, truth, truth > 1 if pixels.has_ignored else None)


def _mirrored(place: Tensor, length: Tensor) -> Tensor:
    """Places along a line that goes on with its own mirror images, as places in it."""
    within = place % (2 * length)
    return torch.minimum(within, 2 * length - 1 - within)
