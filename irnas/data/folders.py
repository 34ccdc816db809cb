"""Layouts that keep images in one folder and masks in another, in a pair for all or in a pair for each split.

Redistributions of one set differ in the names of these folders, in where they put the name of a split
(``train/images``, ``images/train``, ``train_images``) and in what they append to the names of masks, so the files are
found by looking. ``published`` says which set they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from irnas.core.errors import DataError
from irnas.data import files
from irnas.data.frames import frame_numbers
from irnas.data.layout import IMAGE_FOLDERS, Entry, Layout, Listing, describe_folder
from irnas.data.part import part_of, split_part

MASK_FOLDERS = ("masks", "IRSTD1k_Label", "mask", "annotations/masks")
"""Names that published sets give to a folder of masks."""
MASK_ENDINGS = ("", "_pixels0", "_mask", "_masks", "_gt", "_label")
_DEPTH = 4
"""How deep folders of images are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A folder of images with its folder of masks."""

    images: Path
    masks: Path
    part: str = ""
    """The name of the folder that says the part of both, as it is spelled; "" where none does."""
    sequence: str = ""
    """The folders around them that are no part."""


class FolderLayout(Layout):
    """A set whose images and masks lie in folders of pairs; a sub-class says how its images or folders are called."""

    image_folders: ClassVar[Sequence[str]] = IMAGE_FOLDERS
    """Names that a folder of images may have, the likeliest first; case does not matter."""
    mask_folders: ClassVar[Sequence[str]] = MASK_FOLDERS
    """Names that a folder of masks may have; where a sub-class has its own, they tell it from every other layout."""

    def owns(self, root: Path) -> bool:
        """Whether there are masks, here or in a part, in a folder that only this layout has."""
        own = set(self.mask_folders) - set(MASK_FOLDERS)
        places = [root, *(folder for folder in files.folders(root) if part_of(folder.name))]
        return any((place / name).is_dir() for place in places for name in own)

    def list_files(self, root: Path) -> Listing:
        """The pairs of a folder with images and masks, or of its parts, such as train and test, or of its sequences."""
        pairs = list(self._find_pairs(root, root, "", (), _DEPTH))
        if top := [pair for pair in pairs if not pair.part and not pair.sequence]:
            return split_by_folder(pair_files(top[0].images, top[0].masks))
        parts = [pair for pair in pairs if pair.part]
        chosen = parts or (pairs if _are_sequences(root, pairs) else [])
        if not chosen:
            got = describe_folder(root)
            raise DataError(f"source {root}: got {got}; must have images and masks, or train and test with these")
        entries = [(pair.part, _prefix(entry, pair.sequence)) for pair in chosen for entry in _entries_of(pair)]
        return _with_parts(entries)

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether the folder of masks is this set's own, or the images are called as its images are.

        Names tell nothing of a layout that takes any.
        """
        return self.owns(root) or (self.image_names != Layout.image_names and self.has_names(listing))

    def _find_pairs(
        self, root: Path, folder: Path, part: str, sequence: tuple[str, ...], depth: int
    ) -> Iterator[_Pair]:
        """The pairs in a folder, or, where it has none, in those below it."""
        inner = files.folders(folder)
        is_pair = False
        for label in dict.fromkeys(["", *(name for name in map(self._part_of_role, inner) if name)]):
            images, masks = (self._role(folder, names, label) for names in (self.image_folders, self.mask_folders))
            if images and not masks and (part or label or folder == root):
                got = f"got {images.relative_to(root)} without masks"
                raise DataError(f"source {root}: {got}; must have a folder {self.mask_folders[0]} beside it")
            if images and masks:
                is_pair = True
                yield _Pair(images=images, masks=masks, part=part or label, sequence="/".join(sequence))
        if is_pair or not depth:
            return
        for path in inner:
            if part_of(path.name) and not part:
                yield from self._find_pairs(root, path, path.name, sequence, depth - 1)
            else:
                yield from self._find_pairs(root, path, part, (*sequence, files.legible(path.name)), depth - 1)

    def _role(self, folder: Path, names: Sequence[str], label: str) -> Path | None:
        """The folder of images, or of masks, of a part, in the order of the names it may have."""
        inner = {path.name.casefold(): path for path in files.folders(folder)}
        for name in names:
            head, _, rest = name.casefold().partition("/")
            path = next((p for n, p in inner.items() if _without(n, label) == head), None)
            if path is not None and rest:
                path = next((p for p in files.folders(path) if p.name.casefold() == rest), None)
            if path is not None:
                return path
        return None

    def _part_of_role(self, folder: Path) -> str | None:
        """The part in the name of a folder of images, such as "train" of "train_images"."""
        split = split_part(folder.name)
        known = {name.casefold() for name in (*self.image_folders, *self.mask_folders)}
        return split[0] if split and split[1].casefold() in known else None


def _without(name: str, part: str) -> str | None:
    """The name of a folder less the part; None where it names another."""
    if not part:
        return name
    split = split_part(name)
    return split[1] if split and split[0] == part else None


def _are_sequences(root: Path, pairs: Sequence[_Pair]) -> bool:
    """Whether the folders of a source are sequences of one set, and not sets of their own."""
    above = {pair.images.parent for pair in pairs}
    plain = all(pair.images.parent.parent == root and len(files.folders(pair.images.parent)) <= 2 for pair in pairs)
    return len(above) > 1 and plain and not any(p.suffix.lower() == ".txt" for f in above for p in files.children(f))


def _entries_of(pair: _Pair) -> list[Entry]:
    entries = pair_files(pair.images, pair.masks)
    if pair.sequence:
        # What lies around the folder of images is the sequence of what lies right in it.
        numbers = frame_numbers(entry.name for entry in entries)
        return [replace(entry, frame=numbers[entry.name]) if not entry.sequence else entry for entry in entries]
    return entries


def _prefix(entry: Entry, prefix: str) -> Entry:
    if not prefix:
        return entry
    return replace(entry, name=f"{prefix}/{entry.name}", sequence=f"{prefix}/{entry.sequence}".rstrip("/"))


def split_by_folder(entries: Sequence[Entry]) -> Listing:
    """The entries of one pair of folders; where folders inside are called as parts are, with their splits.

    That is so where all of them are, or two of which one is to train on; else they are sequences.
    """
    heads = dict.fromkeys(entry.name.partition("/")[0] for entry in entries if "/" in entry.name)
    part_of_head = {head: part for head in heads if (part := part_of(head))}
    is_some = len(part_of_head) > 1 and any(part.startswith("train") for part in part_of_head.values())
    if not part_of_head or not (is_some or len(part_of_head) == len(heads)):
        return Listing(entries=tuple(entries))
    return _with_parts([_without_head(entry, part_of_head) for entry in entries])


def _without_head(entry: Entry, part_of_head: Mapping[str, str]) -> tuple[str, Entry]:
    """The folder that is the entry's part, or "", and the entry as if it lay right above."""
    head, _, rest = entry.name.partition("/")
    if not rest or head not in part_of_head:
        return "", entry
    sequence = rest.rpartition("/")[0]
    return head, replace(entry, name=rest, sequence=sequence, frame=entry.frame if sequence else 0)


def _with_parts(entries: Iterable[tuple[str, Entry]]) -> Listing:
    """A listing whose splits are the parts that folders name."""
    pairs = list(entries)
    names = [entry.name for _, entry in pairs]
    # Numbers that start anew in each part name nothing on their own.
    is_prefixed = len(set(names)) < len(names)
    all_entries: list[Entry] = []
    splits: dict[str, list[str]] = {}
    for folder, entry in pairs:
        renamed = replace(entry, name=f"{folder}/{entry.name}") if is_prefixed and folder else entry
        if is_prefixed and folder and entry.sequence:
            renamed = replace(renamed, sequence=f"{folder}/{entry.sequence}")
        all_entries.append(renamed)
        if folder:
            splits.setdefault(part_of(folder) or folder, []).append(renamed.name)
    order = {"train": 0, "trainval": 1, "val": 2}
    ordered = sorted(splits, key=lambda part: (order.get(part, 3), part))
    return Listing(entries=tuple(all_entries), splits={part: tuple(splits[part]) for part in ordered})


def pair_files(images: Path, masks: Path, mask_suffix: str | None = None, empty: Collection[str] = ()) -> list[Entry]:
    """Each image of one folder with its mask in the other, which may end in ``mask_suffix`` (one of many if None).

    The images called ``empty`` need no mask.

    Raises:
        DataError: an image without a mask or a mask without an image, or files of many pages that do not fit.
    """
    image_of, endings = files.image_files(images), MASK_ENDINGS if mask_suffix is None else (mask_suffix,)
    mask_of: dict[str, Path] = {}
    strangers = []
    for key, path in files.image_files(masks).items():
        name = next((n for e in endings if key.endswith(e) and (n := key.removesuffix(e)) in image_of), None)
        if name is None:
            strangers.append(path.name)
        elif name in mask_of:
            raise DataError(f"image {name!r}: got masks {mask_of[name].name} and {path.name}; must have one")
        else:
            mask_of[name] = path
    bare = sorted(image_of.keys() - mask_of.keys() - set(empty))
    if bare:
        got = f"{len(bare)} images without a mask, the first {bare[0]!r}"
        raise DataError(f"folder {images}: got {got}; must have one each")
    if strangers:
        got = f"{len(strangers)} masks without an image, the first {sorted(strangers)[0]!r}"
        raise DataError(f"folder {masks}: got {got}; must have one each")
    numbers = frame_numbers(image_of)
    pairs = [
        Entry(name=n, image=p, mask=mask_of.get(n), sequence=n.rpartition("/")[0], frame=numbers[n] if "/" in n else 0)
        for n, p in image_of.items()
    ]
    return [entry for pair in pairs for entry in _paged(pair)]


def _paged(entry: Entry) -> list[Entry]:
    """An entry a page, of files of many pages: they are the frames of a sequence."""
    pages = files.pages(entry.image)
    if len(pages) == 1:
        return [entry]
    of_mask = files.pages(entry.mask) if entry.mask else []
    if len(of_mask) != len(pages):
        got = f"{len(pages)} pages and {len(of_mask)} of its mask"
        raise DataError(f"image {entry.image.name}: got {got}; must be as many, one mask a frame")
    return [
        replace(entry, name=f"{entry.name}/{k:04d}", sequence=entry.name, frame=k, page=pages[k], mask_page=of_mask[k])
        for k in range(len(pages))
    ]
