"""Example detections: the image, the truth and what each winner says, as small PNGs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image
from scipy import ndimage

from irnas.core.result import Result
from irnas.record.run import Run
from irnas.report import look
from irnas.report.network import colours_of

Array = np.ndarray[Any, Any]
Predictor = Callable[[int], Array]
"""The number of an image in its split to the target probability of each pixel, [H, W]."""

MAX_WINNERS = 4
MAX_SCENES = 4
THRESHOLD = 0.5
_PART = 336
"""Side of an enlarged part, about twice what it takes on the page, so that outlines stay whole."""


class Scenes(Protocol):
    """What is asked of a split: see ``irnas.data.Split``."""

    def __len__(self) -> int: ...

    def image(self, i: int) -> Array:
        """Uint8 [H, W]."""

    def mask(self, i: int) -> Array:
        """Uint8 [H, W] of 0 and 1."""

    def name(self, i: int) -> str:
        """The image's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of an image that is shown enlarged, in pixels."""

    top: int
    left: int
    side: int

    def cut(self, values_hw: Array) -> Array:
        """The framed part of an array [H, W]."""
        return values_hw[self.top : self.top + self.side, self.left : self.left + self.side]

    def enlarged(self, part_hw: Array) -> Array:
        """A framed part with each pixel as a square of several."""
        zoom = max(_PART // self.side, 1)
        return part_hw.repeat(zoom, axis=0).repeat(zoom, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One picture of a row: its full view and its enlarged part, both as data URIs."""

    title: str
    caption: str
    full_view: str
    part: str
    colour: str = ""
    """Of the winner; empty for image and truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One image with its truth and its predictions."""

    name: str
    frame: Frame
    shape: tuple[int, int]
    cells: tuple[Cell, ...]


def detections(run: Run) -> tuple[list[Scene], str]:
    """Some validation images as the winners see them; where there are none, why, in a sentence."""
    if not run.winners:
        return [], "No trial was trained to the end, so there is no winner to ask."
    try:
        split, predictors = _open(run)
        return scenes(split, predictors, run), ""
    except Exception as error:
        # Weights and images may have moved or changed since the search; the rest of the report stands without them.
        return [], f"The winners could not be run again here: {' '.join(str(error).split()) or type(error).__name__}."


def chosen(winners: Sequence[Result]) -> list[int]:
    """Places of at most ``MAX_WINNERS`` winners, evenly from the cheapest to the dearest."""
    num = min(len(winners), MAX_WINNERS)
    return sorted({round(place) for place in np.linspace(0, len(winners) - 1, num)})


def scenes(split: Scenes, predictors: dict[int, Predictor], run: Run) -> list[Scene]:
    """The examples: images with a target, evenly over the split.

    Args:
        split: images and masks.
        predictors: place of a winner to its network.
        run: the run.
    """
    with_target = [i for i in range(len(split)) if (split.mask(i) == 1).any()]
    num = min(len(with_target), MAX_SCENES)
    places = sorted({round(p) for p in np.linspace(0, len(with_target) - 1, num)}) if num else []
    return [_scene(split, with_target[place], predictors, run) for place in places]


def frame_of(mask_hw: Array) -> Frame:
    """A square around the largest target, four times its extent, 24 pixels at least and the image at most."""
    labels, num = ndimage.label(mask_hw, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(mask_hw, labels, range(1, num + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    extent = max(rows.stop - rows.start, columns.stop - columns.start)
    side = int(min(max(4 * extent, 24), *mask_hw.shape))
    top = (rows.start + rows.stop - side) // 2
    left = (columns.start + columns.stop - side) // 2
    height, width = mask_hw.shape
    return Frame(top=min(max(top, 0), height - side), left=min(max(left, 0), width - side), side=side)


def iou(prediction_hw: Array, mask_hw: Array) -> float:
    """Target pixels that are both predicted and true, over those that are either; 1 where there are none."""
    union = int((prediction_hw | mask_hw).sum())
    return int((prediction_hw & mask_hw).sum()) / union if union else 1.0


def _open(run: Run) -> tuple[Scenes, dict[int, Predictor]]:
    # Torch comes in here and only here: a report without pictures needs none.
    from irnas.data import open_dataset
    from irnas.training.prediction import predict, windows
    from irnas.training.weights import restore

    split = open_dataset(run.data.path).split(run.settings.validate_on)

    def predictor(result: Result) -> Predictor:
        model = restore(run.uri, result)
        return lambda index: predict(model, *windows(model, split, [index]))

    winners = run.winners
    return split, {place: predictor(winners[place]) for place in chosen(winners)}


def _scene(split: Scenes, index: int, predictors: dict[int, Predictor], run: Run) -> Scene:
    image_hw, mask_hw = split.image(index), split.mask(index) == 1
    frame = frame_of(mask_hw)
    # By its own range, or a dim target would stay invisible beside a bright roof.
    part_hw = frame.enlarged(_stretched(frame.cut(image_hw)))
    height, width = mask_hw.shape
    full_view, part = _png(_stretched(image_hw)), _png(part_hw)
    cells = [Cell(title="image", caption=f"{height} x {width} pixels", full_view=full_view, part=part)]
    full_view, part = _judged(part_hw, mask_hw, mask_hw, frame)
    cells.append(Cell(title="truth", caption=f"{int(mask_hw.sum())} target pixels", full_view=full_view, part=part))
    colours, winners = colours_of(run), run.winners
    for place, predict in predictors.items():
        found_hw = predict(index) > THRESHOLD
        full_view, part = _judged(part_hw, found_hw, mask_hw, frame)
        title, caption = f"{place + 1} · {winners[place].key[:8]}", f"IoU here {100 * iou(found_hw, mask_hw):.0f} %"
        cells.append(Cell(title=title, caption=caption, full_view=full_view, part=part, colour=colours[place]))
    return Scene(name=split.name(index), frame=frame, shape=(height, width), cells=tuple(cells))


def _stretched(image_hw: Array) -> Array:
    """Grey levels spread over 0..255, so that a dim scene is visible; uint8 [H, W]."""
    low, high = np.percentile(image_hw, (0.5, 99.95))
    stretched_hw: Array = np.clip((image_hw - low) / max(high - low, 1.0), 0, 1) * 255
    return stretched_hw.astype(np.uint8)


def _judged(part_hw: Array, found_hw: Array, mask_hw: Array, frame: Frame) -> tuple[str, str]:
    """A prediction against the truth: the full view on black, and outlined on the framed part of the image."""
    full_view = _painted(np.zeros(mask_hw.shape, np.uint8), _areas(found_hw, mask_hw))
    areas = _areas(frame.enlarged(frame.cut(found_hw)), frame.enlarged(frame.cut(mask_hw)))
    outlines = [(area & ~ndimage.binary_erosion(area, iterations=2), colour) for area, colour in areas]
    return _png(full_view), _png(_painted(part_hw, outlines))


def _areas(found_hw: Array, mask_hw: Array) -> list[tuple[Array, str]]:
    return [(found_hw & mask_hw, look.HIT), (~found_hw & mask_hw, look.MISS), (found_hw & ~mask_hw, look.FALSE_ALARM)]


def _painted(base_hw: Array, areas: Sequence[tuple[Array, str]]) -> Array:
    """Coloured areas on grey; uint8 [H, W, 3]."""
    rgb_hwc = base_hw[..., None].repeat(3, axis=2)
    for area, colour in areas:
        rgb_hwc[area] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return rgb_hwc


def _png(values: Array) -> str:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
