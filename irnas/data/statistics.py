"""What is in a data set: counts, sizes, areas and contrasts of its targets, per split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from irnas.data.dataset import EVERY, Dataset
from irnas.data.sample import Bytes, Progress

MARGIN = 20
"""Pixels around a target's box in which its background is measured."""
PERCENTILES = (5, 25, 50, 75, 95)
_EIGHT = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFigures:
    """One target as measured in its image."""

    area: int
    """Pixels of its 8-connected component."""
    aspect: float
    """Longer over shorter side of its upright box."""
    scr: float
    """|mean of target - mean of background| / sigma of background, in a box grown by ``MARGIN``, without other targets.
    Infinite where the background is perfectly flat."""
    contrast: float
    """Mean of target less mean of background, in DN."""
    sigma: float
    """Of the background, in DN."""


def measure(image: Bytes, mask: Bytes) -> list[TargetFigures]:
    """The targets of one image [H, W], in raster order."""
    labels, _ = ndimage.label(mask == 1, structure=_EIGHT)
    figures = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        height, width = (s.stop - s.start for s in box)
        around = tuple(slice(max(s.start - MARGIN, 0), s.stop + MARGIN) for s in box)
        target = image[box][labels[box] == number].astype(np.float64)
        background = image[around][mask[around] == 0].astype(np.float64)
        mean, sigma = (float(background.mean()), float(background.std())) if background.size else (0.0, 0.0)
        contrast = float(target.mean()) - mean
        scr = abs(contrast) / sigma if sigma > 0 else float("inf")
        aspect = max(height, width) / min(height, width)
        figures.append(TargetFigures(area=target.size, aspect=aspect, scr=scr, contrast=contrast, sigma=sigma))
    return figures


def describe(pairs: Iterable[tuple[Bytes, Bytes]]) -> dict[str, object]:
    """Figures of images and masks, as plain data.

    ``mean`` and ``std`` are the means over images of each image's mean and standard deviation, in DN: the constants
    that published loaders normalise with.
    """
    shapes: list[tuple[int, int]] = []
    means, stds, per_image = [], [], []
    targets: list[TargetFigures] = []
    for image, mask in pairs:
        shapes.append((image.shape[0], image.shape[1]))
        means.append(float(image.mean(dtype=np.float64)))
        stds.append(float(image.std(dtype=np.float64)))
        measured = measure(image, mask)
        per_image.append(len(measured))
        targets.extend(measured)
    heights, widths = zip(*shapes, strict=True)
    finite = [t.scr for t in targets if np.isfinite(t.scr)]
    return {
        "images": len(shapes),
        "targets": len(targets),
        "empty": per_image.count(0),
        "sizes": len(set(shapes)),
        "height": [min(heights), int(np.median(heights)), max(heights)],
        "width": [min(widths), int(np.median(widths)), max(widths)],
        "mean": float(np.mean(means)),
        "std": float(np.mean(stds)),
        "targets_per_image": {str(n): per_image.count(n) for n in sorted(set(per_image))},
        "area": _percentiles([t.area for t in targets]),
        "aspect": _percentiles([t.aspect for t in targets]),
        "scr": _percentiles(finite),
        "contrast": _percentiles([t.contrast for t in targets]),
        "sigma": _percentiles([t.sigma for t in targets]),
        "image_std": _percentiles(stds),
    }


def describe_dataset(dataset: Dataset, progress: Progress | None = None) -> dict[str, object]:
    """Describe a data set, all images together and split by split."""
    splits: dict[str, Mapping[str, object]] = {}
    for done, name in enumerate(dataset.splits, start=1):
        split = dataset.split(name)
        splits[name] = describe((split.image(i), split.mask(i)) for i in range(len(split)))
        if progress:
            progress("splits", done, len(dataset.splits))
    everything = dataset.split(EVERY)
    return {
        "name": dataset.name,
        "revision": dataset.revision,
        "format": dataset.manifest.format,
        "sequences": dataset.manifest.sequences,
        "warnings": list(dataset.manifest.warnings),
        "all": describe((everything.image(i), everything.mask(i)) for i in range(len(everything))),
        "splits": splits,
    }


def summarise(dataset: Dataset) -> dict[str, object]:
    """A few figures of a data set, fit to be compared from revision to revision."""
    everything = dataset.split(EVERY)
    all_figures = describe((everything.image(i), everything.mask(i)) for i in range(len(everything)))
    figures = {name: all_figures[name] for name in ("images", "targets", "empty", "mean", "std")}
    all_targets = [target for _, target in targets(dataset)]
    for name in ("area", "scr", "contrast"):
        figures[f"{name}_median"] = float(np.median([getattr(t, name) for t in all_targets])) if all_targets else 0.0
    return {"revision": dataset.revision, **figures}


def targets(dataset: Dataset) -> Iterator[tuple[str, TargetFigures]]:
    """Every target with the name of its image, in the order in which the images are stored."""
    everything = dataset.split(EVERY)
    for i in range(len(everything)):
        yield from ((everything.name(i), figures) for figures in measure(everything.image(i), everything.mask(i)))


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {str(p): float(v) for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}
