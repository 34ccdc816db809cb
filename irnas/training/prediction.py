"""Predicts with a network and validates it, in bounded memory whatever the size of the images.

Small images share a batch. An image too large for that is taken in parts where the network says how far a logit looks
(``traits.halo``): each part is surrounded by that much of the image, so its logits are those of the whole image but for
rounding. A network that sums over all pixels, as attention and decompositions do, says nothing: it takes every image as
a whole, one at a time where it is large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor, nn

from irnas.data import Split
from irnas.metrics import Counts, Rules, count_labels, summarize
from irnas.metrics.threshold import ThresholdChoice, ThresholdMeter
from irnas.nn import fused, traits

PAD = 16
"""Images are padded to a multiple of this and of the network's stride on their way through it."""
MAX_BATCH = 8
"""Images of a batch."""
BATCH_PIXELS = MAX_BATCH * 512 * 512
"""Pixels of a batch of several images. Batches of published sizes stay as they are: another size rounds otherwise."""
CACHED_PIXELS = 256 * 256
"""The same where a processor validates: its maps stay in the cache, which makes it a third quicker."""
PART_PIXELS = 768 * 768
"""Pixels of a part of an image with what surrounds it."""


def predict(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """The target probability of each pixel, float32 [H, W], of one uint8 image [H, W] or window [T, H, W].

    The newest frame of a window comes last. A network of many frames sees a single image as one that never changed.
    """
    return next(predictions(model, [image]))


@torch.no_grad()
def predictions(
    model: nn.Module, images: Iterable[np.ndarray], *, batch_pixels: int = BATCH_PIXELS
) -> Iterator[np.ndarray]:
    """``predict`` for many images in order; neighbours of one size share a batch of so many pixels."""
    model.eval()
    for batch in _batches(images, batch_pixels):
        yield from _predict_batch(model, batch)


class Windows(Sequence[np.ndarray]):
    """What a network sees of images of a split, made when it is looked at; see ``windows``."""

    def __init__(self, split: Split, indices: Iterable[int], frames: int) -> None:
        self._split, self._indices, self._frames = split, list(indices), frames

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> Windows: ...
    def __getitem__(self, place: int | slice) -> np.ndarray | Windows:
        if isinstance(place, slice):
            return Windows(self._split, self._indices[place], self._frames)
        index = self._indices[place]
        if self._frames == 1:
            return self._split.image(index)
        return np.stack(self._split.window(index, self._frames))


def windows(model: nn.Module, split: Split, indices: Iterable[int]) -> Windows:
    """What a network sees of those images of a split: each image [H, W], or the window [T, H, W] that it ends."""
    return Windows(split, indices, traits.frames(model))


def validate(model: nn.Module, split: Split, rules: Rules) -> tuple[dict[str, float], bool]:
    """The metrics of a model on a split, and whether it marks no pixel at all.

    The network is computed the quick way (see irnas.nn.fused), as half of a training's time was its validation.
    """
    rows: list[Counts] = []
    images = windows(model, split, range(len(split)))
    is_blank = True
    batch_pixels = CACHED_PIXELS if next(model.parameters()).device.type == "cpu" else BATCH_PIXELS
    with fused.quick():
        for index, probability_hw in enumerate(predictions(model, images, batch_pixels=batch_pixels)):
            rows.append(count_labels(probability_hw, split.mask(index), rules))
            is_blank = is_blank and not (probability_hw > 0.5).any()
    return summarize(Counts.concat(rows)), is_blank


def choose_threshold(model: nn.Module, split: Split) -> ThresholdChoice:
    """The threshold that marks a model's targets best on a split, which must hold no image that it was trained on."""
    meter = ThresholdMeter()
    for index, probability_hw in enumerate(predictions(model, windows(model, split, range(len(split))))):
        meter.add(probability_hw, split.mask(index))
    return meter.choose()


def _batches(images: Iterable[np.ndarray], batch_pixels: int) -> Iterator[list[np.ndarray]]:
    """Neighbours of one size, as many as a batch may hold."""
    batch: list[np.ndarray] = []
    for image in images:
        height, width = image.shape[-2:]
        most = min(MAX_BATCH, max(1, batch_pixels // (height * width)))
        if batch and (len(batch) >= most or image.shape != batch[0].shape):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch


def _predict_batch(model: nn.Module, batch: Sequence[np.ndarray]) -> np.ndarray:
    """Probabilities [N, H, W] of images of one size."""
    height, width = batch[0].shape[-2:]
    stack = np.stack(batch).reshape(len(batch), -1, height, width)
    x_nchw = torch.from_numpy(stack.astype(np.float32) / 255).to(next(model.parameters()).device)
    if x_nchw.shape[1] == 1:
        x_nchw = x_nchw.expand(-1, traits.frames(model), -1, -1)
    # Repeating the edge adds no step that a network could take for a target.
    multiple = math.lcm(PAD, traits.stride(model))
    padding = (0, -width % multiple, 0, -height % multiple)
    x_nchw = nn.functional.pad(x_nchw, padding, mode="replicate")
    halo = traits.halo(model)
    if halo is None or x_nchw[0, 0].numel() <= PART_PIXELS:
        probability_nhw = _probability(model, x_nchw)
    else:
        probability_nhw = _predict_parts(model, x_nchw, multiple, -(-halo // multiple) * multiple)
    return probability_nhw[:, :height, :width].cpu().numpy()


def _predict_parts(model: nn.Module, x_nchw: Tensor, multiple: int, halo: int) -> Tensor:
    """Probabilities [N, H, W] of large images, part by part; halo and sides are multiples, as strides want them."""
    height, width = x_nchw.shape[2:]
    # A part narrower than what surrounds it would cost more than nine times its work.
    side = max(math.isqrt(PART_PIXELS) // multiple * multiple - 2 * halo, halo, multiple)
    probability_nhw = x_nchw.new_empty((len(x_nchw), height, width))
    for top in range(0, height, side):
        for left in range(0, width, side):
            first_row, first_column = max(top - halo, 0), max(left - halo, 0)
            part_nchw = x_nchw[:, :, first_row : top + side + halo, first_column : left + side + halo]
            part_nhw = _probability(model, part_nchw.contiguous())
            inner = part_nhw[:, top - first_row :, left - first_column :][:, :side, :side]
            probability_nhw[:, top : top + side, left : left + side] = inner
    return probability_nhw


def _probability(model: nn.Module, x_nchw: Tensor) -> Tensor:
    """Probabilities [N, H, W] of images that fit."""
    logits_n1hw: Tensor = model(x_nchw)
    return logits_n1hw[:, 0].float().sigmoid()
