"""The range of counts of a whole data set, measured before its images become 8 bits (FORMAT.md, section 8)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnas.core.errors import DataError
from irnas.data.decode import Notes, is_deep, read_image
from irnas.data.layout import Entry, Layout
from irnas.data.mask import MaskNotes, read_mask
from irnas.runtime.value_range import FEW_LEVELS, Counts, Levels, RangeChoice, RangeMeter, ValueRange


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRange:
    """The counts that become 0 and 255 in a data set, and what that leaves of them."""

    value_range: ValueRange
    choice: RangeChoice
    """How it was chosen."""
    levels: Levels
    """What the middle 90 % of the pixels keep."""

    def document(self) -> dict[str, Any]:
        """Return the object that the manifest holds."""
        first, last = self.choice.percentiles
        return {
            "low": self.value_range.low,
            "high": self.value_range.high,
            "by": "option" if self.choice.fixed else f"{first:g}%,{last:g}%",
            "levels": self.levels.levels,
        }

    def sentences(self) -> list[str]:
        """What is left of the counts, and a warning where it is little."""
        levels, counts = self.levels
        of = f" for {counts:.0f} counts" if counts < float("inf") else ""
        sentences = [f"the middle 90 % of these pixels keep {levels} of 256 levels{of}"]
        if self.levels.are_few:
            sentences.append(
                f"fewer than {FEW_LEVELS} levels are left: --range LOW,HIGH, or percentiles such as --range 1%,95%, "
                "cut off what is hotter or colder than the scene"
            )
        return sentences


def range_of_document(document: Mapping[str, Any] | None) -> ValueRange | None:
    """Return the range in a manifest; None where its images had 8 bits."""
    return None if document is None else ValueRange(float(document["low"]), float(document["high"]))


def measure_entries(layout: Layout, entries: Iterable[Entry], choice: RangeChoice) -> SetRange | None:
    """Measure all images of more than 8 bits in a data set as one; None where there are none.

    Masks say what must not be cut off. Files that cannot be read are passed over; reading the set will name them.
    """
    meter, frames = RangeMeter(choice.percentiles), list[Counts]()
    reader = layout.reader(Notes(measure=frames.append))
    for entry in entries:
        if not is_deep(entry.image):
            continue
        with contextlib.suppress(DataError):
            frames.clear()
            height, width = reader.read(entry).shape
            mask_hw = read_mask(entry.mask, (height, width), MaskNotes(), entry.mask_page)
            meter.add(frames[-1], mask_hw)
    if meter.is_empty:
        return None
    value_range = choice.fixed or meter.measure()
    return SetRange(value_range=value_range, choice=choice, levels=meter.count_levels(value_range))


def measure_files(
    pages: Iterable[tuple[Path, int]], choice: RangeChoice, stored: ValueRange | None
) -> ValueRange | None:
    """Return what image files are read by: what was chosen, what a model stores, or the range of all of them.

    Args:
        pages: image files and which of their pages, which are one set.
        choice: what the user asked for; percentiles other than the default go before a stored range.
        stored: of the model.

    Returns:
        None where no file has more than 8 bits.
    """
    deep = [(path, page) for path, page in pages if is_deep(path)]
    if not deep:
        return None
    if choice.fixed or (stored and not choice.are_percentiles_chosen):
        return choice.fixed or stored
    meter = RangeMeter(choice.percentiles)
    for path, page in deep:
        with contextlib.suppress(DataError):
            read_image(path, Notes(measure=meter.add), page)
    return None if meter.is_empty else meter.measure()
