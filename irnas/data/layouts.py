"""The table of published layouts, and detection by asking each of them in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import files, lists
from irnas.data.folders import pair_files, split_by_folder
from irnas.data.layout import Entry, Layout, Listing
from irnas.data.mirsdt import NudtMirsdt
from irnas.data.published import Generic, Irstd1k, MdvsFa, NudtSirst, SatVideoIrstd, Sirst, SirstAug, SirstV2

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
        SirstV2(),
        SatVideoIrstd(),
        MdvsFa(),
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


def discover(root: Path, format: str = AUTO, protocol: str = "", folders: Folders | None = None) -> Source:
    """List what lies in a folder, without reading any image.

    Args:
        root: the folder.
        format: name of the layout, or ``AUTO``.
        protocol: which lists lead, where there are several: a folder of lists, or what their names end in.
        folders: where images and masks are, for a set in folders of one's own; it has no published layout then.

    Raises:
        DataError: no known layout, an image without a mask or a mask without an image, a list line without an image, or
            names that the format does not have.
    """
    if format not in (AUTO, *LAYOUTS):
        raise DataError(f"format: got {format!r}; one of {', '.join((AUTO, *LAYOUTS))}")
    if not root.is_dir():
        raise DataError(f"source {root}: got no folder; must be one")
    owner = next((layout for layout in LAYOUTS.values() if layout.owns(root)), _GENERIC)
    layout = _GENERIC if folders else owner if format == AUTO else LAYOUTS[format]
    listing = folders.list_files(root) if folders else layout.list_files(root)
    if not listing.entries:
        raise DataError(f"source {root}: got no images; must have at least one")
    warnings: list[str] = []
    listing = _with_splits(root, listing, protocol or layout.protocol, warnings, is_asked=bool(protocol))
    if format == AUTO and not folders:
        layout = next(layout for layout in LAYOUTS.values() if layout.recognises(root, listing))
    warnings.extend(layout.differences(listing))
    warnings.extend(_passed_over(root, listing))
    return Source(layout=layout, entries=listing.entries, splits=listing.splits, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where the images and masks of a set are that lie in folders of one's own."""

    images: Path
    """Relative to the source, or not."""
    masks: Path
    suffix: str | None = None
    """What the names of masks end in; None for the endings that published sets use."""

    def list_files(self, root: Path) -> Listing:
        """The pairs of the two folders; parts such as train and test may lie in them."""
        images, masks = root / self.images, root / self.masks
        for option, folder in (("--images", images), ("--masks", masks)):
            if not folder.is_dir():
                raise DataError(
                    f"{option}: got {folder}, which is no folder; must be one, in the source or from its top"
                )
        return split_by_folder(pair_files(images, masks, self.suffix))


def _with_splits(root: Path, listing: Listing, protocol: str, warnings: list[str], *, is_asked: bool) -> Listing:
    """The listing in order, with the splits of its lists where its folders said none."""
    entries = tuple(sorted(listing.entries, key=lambda e: (e.sequence, e.frame, e.name)))
    splits = listing.splits
    if not splits:
        names = lists.Names.of({e.name: e.sequence for e in entries})
        splits = lists.read(root, names, warnings, protocol, is_asked=is_asked)
    elif is_asked:
        raise DataError(f"protocol: got {protocol!r} for a source whose folders are its splits; must be left out")
    if not splits:
        warnings.append("there are no split lists: every image is in train, and there is no test split")
        splits = {"train": tuple(e.name for e in entries)}
    return replace(listing, entries=entries, splits=splits)


def _passed_over(root: Path, listing: Listing) -> list[str]:
    """Sentences about folders of images, or masks, of which no file was taken."""
    taken_from = {path.parent for e in listing.entries for path in (e.image, e.mask) if path is not None}
    sentences = []
    for folder in files.walk(root):
        if folder not in taken_from and (images := files.images(folder)):
            name = files.legible(folder.relative_to(root).as_posix())
            sentences.append(f"folder {name} was passed over, with {len(images)} images")
    return sentences
