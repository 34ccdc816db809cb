"""Layouts that keep images in one folder and masks in another, in a pair for all or in a pair for each split.

Redistributions of one set differ in the names of these folders and in what they append to the names of masks, so the
files are found by looking. ``published`` says which set they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from irnas.core.errors import DataError
from irnas.data import lists
from irnas.data.layout import IMAGE_FOLDERS, Entry, Layout, Listing, describe_folder, frame_numbers, image_files

MASK_FOLDERS = ("masks", "IRSTD1k_Label", "mask", "annotations/masks")
_MASK_ENDINGS = ("", "_pixels0", "_mask")


class FolderLayout(Layout):
    """A set whose images and masks lie in folders of pairs; a sub-class says how its images or folders are called."""

    image_folders: ClassVar[Sequence[str]] = IMAGE_FOLDERS
    """Names that a folder of images may have, the likeliest first."""
    mask_folders: ClassVar[Sequence[str]] = MASK_FOLDERS
    """Names that a folder of masks may have; where a sub-class has its own, they tell it from every other layout."""

    def owns(self, root: Path) -> bool:
        """Whether there are masks, here or in a part, in a folder that only this layout has."""
        own = set(self.mask_folders) - set(MASK_FOLDERS)
        return any((root / part / name).is_dir() for part in ("", *lists.PARTS) for name in own)

    def list_files(self, root: Path) -> Listing:
        """The pairs of a folder with images and masks, or of its parts, such as train and test, which have these."""
        if folders := self._pair_of_folders(root):
            return Listing(entries=tuple(_pair(*folders)))
        pairs = {part: self._pair_of_folders(root / part) for part in lists.PARTS}
        return _list_parts(root, {part: _pair(*folders) for part, folders in pairs.items() if folders})

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether the folder of masks is of this set alone, or the names of images, where they are not any, are its."""
        return self.owns(root) or (self.image_names != Layout.image_names and self.has_names(listing))

    def _pair_of_folders(self, root: Path) -> tuple[Path, Path] | None:
        images = next((root / n for n in self.image_folders if (root / n).is_dir()), None)
        masks = next((root / n for n in self.mask_folders if (root / n).is_dir()), None)
        if images and not masks:
            got = f"got {images.name} without masks"
            raise DataError(f"source {root}: {got}; must have a folder {self.mask_folders[0]}")
        return (images, masks) if images and masks else None


def _list_parts(root: Path, entries_of: Mapping[str, list[Entry]]) -> Listing:
    """The files of a layout that keeps each split's images and masks in a folder of its own."""
    if not entries_of:
        got = describe_folder(root)
        raise DataError(f"source {root}: got {got}; must have images and masks, or train and test with these")
    names = [entry.name for entries in entries_of.values() for entry in entries]
    # Numbers that start anew in each part name nothing on their own.
    is_prefixed = len(set(names)) < len(names)
    all_entries: list[Entry] = []
    splits: dict[str, tuple[str, ...]] = {}
    for part, entries in entries_of.items():
        renamed = [_prefix(entry, f"{part}/") for entry in entries] if is_prefixed else entries
        all_entries.extend(renamed)
        splits[part] = tuple(entry.name for entry in renamed)
    return Listing(entries=tuple(all_entries), splits=splits)


def _prefix(entry: Entry, prefix: str) -> Entry:
    return replace(entry, name=prefix + entry.name, sequence=entry.sequence and prefix + entry.sequence)


def _pair(images: Path, masks: Path) -> list[Entry]:
    """Each image of one folder with its mask in the other."""
    image_of = image_files(images)
    mask_of: dict[str, Path] = {}
    strangers = []
    for key, path in image_files(masks).items():
        name = next((n for e in _MASK_ENDINGS if key.endswith(e) and (n := key.removesuffix(e)) in image_of), None)
        if name is None:
            strangers.append(path.name)
        elif name in mask_of:
            raise DataError(f"image {name!r}: got masks {mask_of[name].name} and {path.name}; must have one")
        else:
            mask_of[name] = path
    bare = sorted(image_of.keys() - mask_of.keys())
    if bare:
        got = f"{len(bare)} images without a mask, the first {bare[0]!r}"
        raise DataError(f"folder {images}: got {got}; must have one each")
    if strangers:
        got = f"{len(strangers)} masks without an image, the first {sorted(strangers)[0]!r}"
        raise DataError(f"folder {masks}: got {got}; must have one each")
    numbers = frame_numbers(image_of)
    return [
        Entry(name=n, image=p, mask=mask_of[n], sequence=n.rpartition("/")[0], frame=numbers[n] if "/" in n else 0)
        for n, p in image_of.items()
    ]
