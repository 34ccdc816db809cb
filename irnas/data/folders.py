"""Layouts that keep images in one folder and masks in another, in a pair for all or in a pair for each split.

Redistributions of one set differ in the names of these folders and in what they append to the names of masks, so the
files are found by looking. ``published`` says which set they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import lists
from irnas.data.layout import IMAGE_FOLDERS, Entry, Layout, Listing, describe_folder, frame_numbers, image_files

MASK_FOLDERS = ("masks", "IRSTD1k_Label", "mask", "annotations/masks")
_MASK_ENDINGS = ("", "_pixels0", "_mask")


class FolderLayout(Layout):
    """A set whose images and masks lie in folders of pairs; a sub-class says how its images are called."""

    def list_files(self, root: Path) -> Listing:
        """The pairs of a folder with images and masks, or of its parts, such as train and test, which have these."""
        if folders := _pair_of_folders(root):
            return Listing(entries=tuple(_pair(*folders)))
        return _list_parts(root)

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether the names are those of this set, which must not be any names then."""
        return self.image_names != Layout.image_names and self.has_names(listing)


def _pair_of_folders(root: Path) -> tuple[Path, Path] | None:
    images = next((root / n for n in IMAGE_FOLDERS if (root / n).is_dir()), None)
    masks = next((root / n for n in MASK_FOLDERS if (root / n).is_dir()), None)
    if images and not masks:
        raise DataError(f"source {root}: got {images.name} without masks; must have a folder {MASK_FOLDERS[0]}")
    return (images, masks) if images and masks else None


def _list_parts(root: Path) -> Listing:
    """The files of a layout that keeps each split's images and masks in a folder of its own."""
    entries_of = {}
    for part in lists.PARTS:
        if (root / part).is_dir() and (folders := _pair_of_folders(root / part)):
            entries_of[part] = _pair(*folders)
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
