"""The files that a test leaves: maps, masks and truth as pictures, counts of each image, curves.

Below the folder of a split, with NAME for a training (a network's key) and IMAGE for an image as its data set calls it:

    predictions/NAME/IMAGE.png   255 times the probability, 8 bits
    masks/NAME/IMAGE.png         255 where it exceeds the network's own threshold, else 0
    truth/IMAGE.png              255 on targets, else 0
    images/NAME.csv              counts of each image, by preset and threshold
    curves/NAME.csv              ROC by preset, and detections against false alarms
    curves.png                   both, of all networks of one test
"""

from __future__ import annotations

import contextlib
import csv
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from irnas import storage
from irnas.core.errors import DataError
from irnas.metrics import Counts, Curve, DetectionCurve, image_iou
from irnas.storage import atomic

PREDICTIONS, MASKS, TRUTH = "predictions", "masks", "truth"

_IMAGE_COLUMNS = (
    *("image", "preset", "threshold", "tp", "fp", "fn", "iou", "targets", "detected", "false_alarm_pixels", "highest"),
)
_CURVE_COLUMNS = ("curve", "preset", "threshold", "false_rate", "true_rate")


class NetworkEvidence:
    """What is written of one training, image by image."""

    def __init__(self, uri: str, name: str, table: IO[str], *, has_pictures: bool) -> None:
        """Begin the table of images; see ``network_evidence``."""
        self._uri, self._name, self._has_pictures = uri, name, has_pictures
        self._rows = csv.writer(table, lineterminator="\n")
        self._rows.writerow(_IMAGE_COLUMNS)

    def add(
        self,
        image: str,
        probability_hw: npt.NDArray[np.floating[Any]],
        threshold: float,
        rows: Mapping[tuple[str, float], Counts],
    ) -> None:
        """Write one image.

        Args:
            image: its name.
            probability_hw: the map, 0..1.
            threshold: the network's own.
            rows: counts of this image by preset and threshold.
        """
        highest = f"{float(probability_hw.max()):.6g}"
        for (preset, at), counts in rows.items():
            pixels = [int(column[0]) for column in (counts.tp, counts.fp, counts.fn)]
            detections = [int(column[0]) for column in (counts.targets, counts.hits, counts.false_alarm_pixels)]
            iou = f"{image_iou(counts)[0]:.6g}"
            self._rows.writerow([image, preset, f"{at:.6g}", *pixels, iou, *detections, highest])
        if self._has_pictures:
            write_picture(storage.join(self._uri, PREDICTIONS, self._name), image, to_8_bits(probability_hw))
            mask_hw = np.where(probability_hw > threshold, 255, 0).astype(np.uint8)
            write_picture(storage.join(self._uri, MASKS, self._name), image, mask_hw)


@contextlib.contextmanager
def network_evidence(uri: str, name: str, *, has_pictures: bool) -> Iterator[NetworkEvidence]:
    """Lend what writes the files of one training below ``uri``; its table is there once the block ends well."""
    with _new_file(storage.join(uri, "images", f"{name}.csv")) as path:
        with path.open("w", encoding="utf-8", newline="") as table:
            yield NetworkEvidence(uri, name, table, has_pictures=has_pictures)


def write_curves(uri: str, name: str, preset: str, curves: Mapping[str, Curve], detections: DetectionCurve) -> None:
    """Write the curves of one training; ``preset`` is the one by which detections were counted."""
    with _new_file(storage.join(uri, "curves", f"{name}.csv")) as path:
        with path.open("w", encoding="utf-8", newline="") as table:
            rows = csv.writer(table, lineterminator="\n")
            rows.writerow(_CURVE_COLUMNS)
            for name_of_rules, curve in curves.items():
                for point in zip(curve.threshold, curve.false_rate, curve.true_rate, strict=True):
                    rows.writerow(["roc", name_of_rules, *(f"{value:.9g}" for value in point)])
            for point in zip(detections.threshold, detections.fa, detections.pd, strict=True):
                rows.writerow(["detections", preset, *(f"{value:.9g}" for value in point)])


def write_truth(uri: str, image: str, label_hw: npt.NDArray[np.uint8]) -> None:
    """Write the mask of an image, 255 on targets; pixels that nobody cares about are no targets."""
    write_picture(storage.join(uri, TRUTH), image, np.where(label_hw == 1, 255, 0).astype(np.uint8))


def to_8_bits(probability_hw: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """255 times the probability, to the nearest whole number, and down from the middle between two.

    So 128 and more is what exceeds 0.5, and a tool that reads the picture finds the same mask.
    """
    return np.ceil(probability_hw.astype(np.float64) * 255 - 0.5).astype(np.uint8)


def write_picture(uri: str, image: str, pixels_hw: npt.NDArray[np.uint8]) -> None:
    """Write a PNG named after an image, whose name may hold folders.

    Raises:
        DataError: the name leads out of the folder.
    """
    parts = PurePosixPath(image).parts
    if not parts or image.startswith("/") or ".." in parts:
        raise DataError(f"image {image!r}: got a name that leads elsewhere; must be relative, without '..'")
    with _new_file(storage.join(uri, *parts[:-1], f"{parts[-1]}.png")) as path:
        Image.fromarray(pixels_hw).save(path, "PNG")


@contextlib.contextmanager
def _new_file(uri: str) -> Iterator[Path]:
    """Lend a local path whose file becomes the one at ``uri``, if the block ends well.

    On a folder of this machine it is not waited for until the disk has it: it can be made again.
    """
    if storage.is_local(uri):
        path = storage.local(uri)
        try:
            with atomic.new_file(path) as part:
                yield part
        except OSError as error:
            raise storage.full_disk(error, path) from error
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        yield path
        storage.write(uri, path.read_bytes())
