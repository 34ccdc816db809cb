"""The picture at the top of README.md: what a network of the zoo marks in synthetic frames, which it never saw.

    python tests/bench/detections.py [-o docs/detections.png] [--model zoo:sirst-lit10-bn] [--first 0] [--frames 4]

Frames come one after the other and are not picked by hand. A green box is a detection that meets a target, a red one
a false alarm, and a yellow one a target that was missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

import irnas
from irnas.core import zoo
from irnas.data.synthetic import single
from irnas.data.synthetic_settings import DEFAULT
from irnas.runtime.boxes import Box, find_boxes

HIT, FALSE_ALARM, MISS = "#2fd05f", "#ff4b3e", "#ffd23e"
GAP, MARGIN, COLOURS = 8, 5, 96


def outline(draw: ImageDraw.ImageDraw, box: Box, colour: str) -> None:
    """Draw a box with some room around it."""
    left, top = box.x - MARGIN, box.y - MARGIN
    draw.rectangle((left, top, left + box.width + 2 * MARGIN, top + box.height + 2 * MARGIN), outline=colour, width=2)


def covers(box: Box, mask_hw: npt.NDArray[np.bool_]) -> bool:
    """Whether a mask has a pixel in a box."""
    return bool(mask_hw[box.y : box.y + box.height, box.x : box.x + box.width].any())


def draw_frame(
    image_hw: npt.NDArray[np.uint8],
    mask_hw: npt.NDArray[np.uint8],
    probability_hw: npt.NDArray[np.float32],
    threshold: float,
) -> tuple[Image.Image, tuple[int, int, int]]:
    """A frame with its boxes, and how many are hits, misses and false alarms."""
    picture = Image.fromarray(image_hw).convert("RGB")
    draw = ImageDraw.Draw(picture)
    detections, targets = find_boxes(probability_hw, threshold), find_boxes(mask_hw.astype(np.float32), 0.5)
    hits = [box for box in detections if covers(box, mask_hw > 0)]
    false_alarms = [box for box in detections if box not in hits]
    misses = [box for box in targets if not covers(box, probability_hw > threshold)]
    for boxes, colour in ((hits, HIT), (false_alarms, FALSE_ALARM), (misses, MISS)):
        for box in boxes:
            outline(draw, box, colour)
    return picture, (len(hits), len(misses), len(false_alarms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/detections.png"))
    parser.add_argument("--model", default="zoo:sirst-lit10-bn")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--frames", type=int, default=4)
    arguments = parser.parse_args()
    model, totals, side = irnas.load(zoo.resolve(arguments.model, ".xnor")), np.zeros(3, dtype=int), DEFAULT.size
    strip = Image.new("RGB", (arguments.frames * (side + GAP) - GAP, side), "white")
    for place in range(arguments.frames):
        sample = single(DEFAULT, arguments.first + place)
        probability_hw = model.run(sample.image[None])[0]
        picture, counts = draw_frame(sample.image, sample.mask, probability_hw, model.facts.threshold)
        strip.paste(picture, (place * (side + GAP), 0))
        totals += counts
    # Fewer colours make a file of a third of the size.
    strip.quantize(COLOURS, dither=Image.Dither.NONE).save(arguments.output, optimize=True)
    hits, misses, false_alarms = totals
    print(f"{arguments.output}: {hits} detections that meet a target, {misses} missed, {false_alarms} false alarms")


if __name__ == "__main__":
    main()
