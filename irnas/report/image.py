"""Example detections: images with what is true and what each winner says drawn over them, as small PNGs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image
from scipy import ndimage

from irnas.core.result import Result
from irnas.metrics import PRESETS, DetectionCurve, DetectionMeter
from irnas.record import selection
from irnas.record.run import Run
from irnas.report import look, thin
from irnas.report.network import colours_of

Array = np.ndarray[Any, Any]
Predictor = Callable[[int], Array]
"""The number of an image in its split to the target probability of each pixel, [H, W]."""

MAX_WINNERS = 4
MAX_SCENES = 4
MAX_JUDGED = 32
"""Images over which detections are counted at several thresholds."""
THRESHOLD = 0.5
_PART = 336
"""Side of an enlarged part, about twice what it takes on the page, so that outlines stay whole."""
_PALETTE = (look.HIT, look.MISS, look.FALSE_ALARM)
"""Colours of a drawing; 0 stands for what is seen through, 1 for the first of them."""
_GAP, _LINE = 2, 2
"""Pixels between an object and its box, and the width of the box's line."""


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
    """What is drawn over the image in one picture of a row, over all of it and over its enlarged part, as data URIs."""

    title: str
    caption: str
    boxes: str
    """Around objects, over the whole image."""
    outlines: str
    """Of pixels, over the enlarged part."""
    colour: str = ""
    """Of the winner; empty for image and truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One image, whole and in part, both as data URIs, with its truth and its predictions."""

    name: str
    frame: Frame
    shape: tuple[int, int]
    full_view: str
    part: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What some of the winners see on the validation images."""

    scenes: Sequence[Scene] = ()
    curves: Mapping[int, DetectionCurve] = field(default_factory=dict)
    """Place of a winner to its detections against false alarms, over ``num_judged`` images."""
    num_judged: int = 0
    num_images: int = 0
    absent: str = ""
    """Why there are none, as a sentence."""


def detections(run: Run) -> Detections:
    """Some validation images as the winners see them, and what a threshold would make of it."""
    if not run.winners:
        return Detections(absent="No trial was trained to the end, so there is no winner to ask.")
    try:
        split, predictors = _open(run)
        judged = thin.evenly(range(len(split)), MAX_JUDGED)
        return Detections(
            scenes=scenes(split, predictors, run),
            curves={place: _curve(split, predict, judged, run) for place, predict in predictors.items()},
            num_judged=len(judged),
            num_images=len(split),
        )
    except Exception as error:
        # Weights and images may have moved or changed since the search; the rest of the report stands without them.
        why = " ".join(str(error).split()) or type(error).__name__
        return Detections(absent=f"The winners could not be run again here: {why}.")


def chosen(winners: Sequence[Result], knee: int = 0) -> list[int]:
    """Places of at most ``MAX_WINNERS`` winners, evenly from the cheapest to the dearest, with that of the knee."""
    num = min(len(winners), MAX_WINNERS)
    places = {round(place) for place in np.linspace(0, len(winners) - 1, num)}
    if knee not in places:
        # Both ends stay.
        inner = sorted(places)[1:-1]
        places = places - {min(inner, key=lambda place: abs(place - knee))} | {knee}
    return sorted(places)


def knee_of(run: Run) -> int:
    """The place of the front's knee among the winners."""
    trial = selection.select_trial(run, selection.KNEE)
    return [result.key for result in run.winners].index(trial.key)


def _curve(split: Scenes, predict: Predictor, judged: Sequence[int], run: Run) -> DetectionCurve:
    meter = DetectionMeter(PRESETS[run.settings.preset])
    for index in judged:
        meter.add(predict(index), split.mask(index))
    return meter.curve()


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
    return split, {place: predictor(winners[place]) for place in chosen(winners, knee_of(run))}


def _scene(split: Scenes, index: int, predictors: dict[int, Predictor], run: Run) -> Scene:
    image_hw, mask_hw = split.image(index), split.mask(index) == 1
    frame = frame_of(mask_hw)
    height, width = mask_hw.shape
    nothing_hw = np.zeros_like(mask_hw)
    cells = [
        _cell("image", f"{height} x {width} pixels", nothing_hw, nothing_hw, frame),
        _cell("truth", f"{int(mask_hw.sum())} target pixels", mask_hw, mask_hw, frame),
    ]
    colours, winners, knee = colours_of(run), run.winners, knee_of(run)
    for place, predict in predictors.items():
        found_hw = predict(index) > THRESHOLD
        title = f"{place + 1} · {winners[place].key[:8]}{' · knee' if place == knee else ''}"
        caption = f"IoU here {100 * iou(found_hw, mask_hw):.0f} %"
        cells.append(_cell(title, caption, found_hw, mask_hw, frame, colours[place]))
    return Scene(
        name=split.name(index),
        frame=frame,
        shape=(height, width),
        full_view=_png(Image.fromarray(_stretched(image_hw))),
        # By its own range, or a dim target would stay invisible beside a bright roof.
        part=_png(Image.fromarray(frame.enlarged(_stretched(frame.cut(image_hw))))),
        cells=tuple(cells),
    )


def _cell(title: str, caption: str, found_hw: Array, mask_hw: Array, frame: Frame, colour: str = "") -> Cell:
    areas = _areas(frame.enlarged(frame.cut(found_hw)), frame.enlarged(frame.cut(mask_hw)))
    outlines = _drawing(areas[0].shape, [a & ~ndimage.binary_erosion(a, iterations=2) for a in areas])
    boxes = _drawing(mask_hw.shape, _boxes(found_hw, mask_hw))
    return Cell(title=title, caption=caption, boxes=boxes, outlines=outlines, colour=colour)


def _stretched(image_hw: Array) -> Array:
    """Grey levels spread over 0..255, so that a dim scene is visible; uint8 [H, W]."""
    low, high = np.percentile(image_hw, (0.5, 99.95))
    stretched_hw: Array = np.clip((image_hw - low) / max(high - low, 1.0), 0, 1) * 255
    return stretched_hw.astype(np.uint8)


def _areas(found_hw: Array, mask_hw: Array) -> list[Array]:
    """Pixels that are found, missed, and false, in the order of the palette."""
    return [found_hw & mask_hw, ~found_hw & mask_hw, found_hw & ~mask_hw]


def _boxes(found_hw: Array, mask_hw: Array) -> list[Array]:
    """Boxes around objects that are found, at least in part, around those that are missed, and around false ones."""
    hit_hw, missed_hw, _ = areas = _areas(found_hw, mask_hw)
    boxes = [np.zeros_like(area) for area in areas]
    labels, _ = ndimage.label(found_hw | mask_hw, structure=np.ones((3, 3)))
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[rows, columns] == number
        kind = 0 if hit_hw[rows, columns][inside].any() else 1 if missed_hw[rows, columns][inside].any() else 2
        outer, inner = np.zeros_like(hit_hw), np.zeros_like(hit_hw)
        for area, margin in ((outer, _GAP + _LINE), (inner, _GAP)):
            top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
            area[top : rows.stop + margin, left : columns.stop + margin] = True
        boxes[kind] |= outer & ~inner
    return boxes


def _drawing(shape: tuple[int, ...], areas: Sequence[Array]) -> str:
    """Areas in the colours of the palette, the last on top, on what is seen through."""
    colour_hw = np.zeros(shape, np.uint8)
    for number, area_hw in enumerate(areas, 1):
        colour_hw[area_hw] = number
    drawing = Image.fromarray(colour_hw, "P")
    drawing.putpalette([0, 0, 0, *(int(colour[i : i + 2], 16) for colour in _PALETTE for i in (1, 3, 5))])
    return _png(drawing, transparency=0)


def _png(picture: Image.Image, **more: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True, **more)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
