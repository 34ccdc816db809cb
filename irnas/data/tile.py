"""Tiles: a small data set cut out of a larger one, for many short trainings.

Scaling an image down would make its targets vanish; a window keeps them as they are. One tile is cut of an image, at a
random place that holds a random target of it whole, where it fits. Only ``fit`` and ``val`` are cut: what tiles decide
is which networks to look at, never how good one is on a test split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from irnas.core.errors import DataError
from irnas.data import shards
from irnas.data.dataset import Dataset, Split
from irnas.data.manifest import Manifest
from irnas.data.sample import Progress, Sample
from irnas.data.staging import refuse_used

LEAST_SIZE = 32


def write(
    target: Path, dataset: Dataset, *, size: int, fit: int, val: int, seed: int = 0, progress: Progress | None = None
) -> Manifest:
    """Write a data folder of ``size`` x ``size`` tiles, one each of ``fit`` and ``val`` images of these splits.

    The images with the smallest sha256 of seed and name are taken, so a larger number keeps those of a smaller one.

    Raises:
        DataError: a tile larger than an image or smaller than 32 pixels, more tiles than images, or a folder in use.
    """
    refuse_used(target)
    chosen = {name: _choose(dataset.split(name, progress), num, seed) for name, num in (("fit", fit), ("val", val))}
    if size < LEAST_SIZE:
        raise DataError(f"tile size: got {size}; must be at least {LEAST_SIZE}")
    about = {"kind": "tiles", "of": dataset.revision, "size": size, "seed": seed, "by": "image", "hash": "sha256"}
    splits = {name: [split.name(i) for i in rows] for name, (split, rows) in chosen.items()}
    return shards.write(
        target,
        _tiles(list(chosen.values()), size, seed),
        total=fit + val,
        format="tiles",
        splits=splits,
        validation=about,
        warnings=[],
        parameters={**about, "source": dataset.manifest.format},
        value_range=dataset.manifest.value_range,
        progress=progress,
    )


def _choose(split: Split, number: int, seed: int) -> tuple[Split, list[int]]:
    if not 1 <= number <= len(split):
        raise DataError(f"tiles of {split.label}: got {number}; must be in 1..{len(split)}, an image each")
    order = sorted(range(len(split)), key=lambda i: hashlib.sha256(f"{seed}/{split.name(i)}".encode()).hexdigest())
    return split, sorted(order[:number])


def _tiles(chosen: Sequence[tuple[Split, list[int]]], size: int, seed: int) -> Iterator[Sample]:
    for split, rows in chosen:
        for i in rows:
            name, (height, width) = split.name(i), split.shape(i)
            if min(height, width) < size:
                raise DataError(f"image {name}: got {width}x{height}; must be at least {size}x{size} to cut a tile of")
            digest = hashlib.sha256(f"{seed}/{name}/place".encode()).digest()
            rng = np.random.default_rng(list(digest[:8]))
            mask = np.ascontiguousarray(split.mask(i))
            y, x = _place(rng, mask, size)
            window = np.s_[y : y + size, x : x + size]
            yield Sample(name=name, image=split.image(i)[window].copy(), mask=mask[window].copy())


def _place(rng: np.random.Generator, mask: np.ndarray, size: int) -> tuple[int, int]:
    """The upper left corner of a tile with a target in it, if there is one."""
    boxes = ndimage.find_objects(ndimage.label(mask == 1, structure=np.ones((3, 3)))[0])
    box = boxes[rng.integers(len(boxes))] if boxes else None
    corner = []
    for axis, side in enumerate(mask.shape):
        low, high = 0, side - size
        if box is not None:
            first, last = box[axis].start, box[axis].stop
            if last - first > size:
                # Too large to lie inside whole: its middle does.
                first = last = (first + last) // 2
            low, high = max(low, last - size), min(high, first)
        corner.append(int(rng.integers(low, max(low, high) + 1)))
    return corner[0], corner[1]
