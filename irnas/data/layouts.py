"""The table of published layouts, and detection by asking each of them in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import lists
from irnas.data.layout import Entry, Layout, Listing
from irnas.data.mirsdt import NudtMirsdt
from irnas.data.published import Generic, Irstd1k, NudtSirst, Sirst, SirstAug

AUTO = "auto"
"""The format that is found by looking."""

_GENERIC = Generic()

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Sirst(),
        NudtSirst(),
        Irstd1k(),
        SirstAug(),
        NudtMirsdt(),
        _GENERIC,  # Last, for it knows every set.
    )
}
"""Every layout by name, in the order in which detection asks them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set as it lies on disk."""

    layout: Layout
    entries: tuple[Entry, ...]
    """By sequence, frame and name."""
    splits: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]

    @property
    def format(self) -> str:
        """The name of the layout."""
        return self.layout.name


def discover(root: Path, format: str = AUTO) -> Source:
    """List what lies in a folder, without reading any image.

    Raises:
        DataError: no known layout, an image without a mask or a mask without an image, a list line without an image, or
            names that the format does not have.
    """
    if format not in (AUTO, *LAYOUTS):
        raise DataError(f"format: got {format!r}; one of {', '.join((AUTO, *LAYOUTS))}")
    if not root.is_dir():
        raise DataError(f"source {root}: got no folder; must be one")
    owner = next((layout for layout in LAYOUTS.values() if layout.owns(root)), _GENERIC)
    layout = owner if format == AUTO else LAYOUTS[format]
    listing = layout.list_files(root)
    if not listing.entries:
        raise DataError(f"source {root}: got no images; must have at least one")
    warnings: list[str] = []
    listing = _with_splits(root, listing, warnings)
    if format == AUTO:
        layout = next(layout for layout in LAYOUTS.values() if layout.recognises(root, listing))
    warnings.extend(layout.differences(listing))
    return Source(layout=layout, entries=listing.entries, splits=listing.splits, warnings=tuple(warnings))


def _with_splits(root: Path, listing: Listing, warnings: list[str]) -> Listing:
    """The listing in order, with the splits of its lists where its folders said none."""
    entries = tuple(sorted(listing.entries, key=lambda e: (e.sequence, e.frame, e.name)))
    splits = listing.splits or lists.read(root, lists.Names.of({e.name: e.sequence for e in entries}), warnings)
    if not splits:
        warnings.append("there are no split lists: every image is in train, and there is no test split")
        splits = {"train": tuple(e.name for e in entries)}
    return replace(listing, entries=entries, splits=splits)
