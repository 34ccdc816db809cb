"""What a data layout is: where the images, masks and splits of a published set lie, and how its images are read.

To add one, write a sub-class of ``Layout`` (or of ``FolderLayout``, where images and masks lie in folders of pairs) and
put it into the table of ``irnas.data.layouts``. Importing, detection and the command line take it from there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from irnas.core.errors import DataError
from irnas.data import files
from irnas.data.decode import Notes, read_image
from irnas.data.sample import Bytes

IMAGE_FOLDERS = ("images", "IRSTD1k_Img", "img", "mixed", "image", "imgs")
"""Names that published sets give to a folder of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of a source, not yet read."""

    name: str
    image: Path
    """An image file, or what the layout's reader understands."""
    mask: Path | None
    """None for an image without any target, where the layout has no mask for it."""
    sequence: str = ""
    """The sequence that the image is a frame of; "" for a single image."""
    frame: int = 0
    """Its number in the sequence."""
    page: int = 0
    """Which picture of a file of many pages."""
    mask_page: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of a source: its images, and its splits where folders say them."""

    entries: tuple[Entry, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Split to image names; empty where split lists are to be read instead."""


class Reader(Protocol):
    """Reads the images of one source, in the order of its entries."""

    def read(self, entry: Entry) -> Bytes:
        """The image of an entry, uint8 [H, W].

        Raises:
            DataError: the file cannot be read.
        """

    def sentences(self) -> list[str]:
        """What had to be decided on the way, one sentence each, for the manifest."""


@dataclass(slots=True)
class ImageReader:
    """Reads image files; what it has to decide goes to ``notes``."""

    notes: Notes

    def read(self, entry: Entry) -> Bytes:
        """The image file of an entry, uint8 [H, W]."""
        return read_image(entry.image, self.notes, entry.page)

    def sentences(self) -> list[str]:
        """Nothing beyond the notes."""
        return []


class Layout(ABC):
    """How one published data set, or a kind of them, lies in its folder."""

    name: ClassVar[str]
    """What the option ``--format`` and the manifest call it."""
    image_names: ClassVar[str] = ".+"
    """Regular expression that every image name of the published set matches."""
    num_images: ClassVar[int] = 0
    """Images of the published set; 0 where there is no such number."""
    split_sizes: ClassVar[Mapping[str, int]] = {}
    """Images of the published set per split."""

    protocol: ClassVar[str] = ""
    """Which lists lead, where the user names none: a folder of lists, or what their names end in; "" for the usual."""

    def owns(self, root: Path) -> bool:
        """Whether the folder is built as only this layout is, so that no other one needs to be tried."""
        return False

    @abstractmethod
    def list_files(self, root: Path) -> Listing:
        """The images and masks in a folder, without reading any.

        Raises:
            DataError: the folder is built differently, or an image has no mask or a mask no image.
        """

    @abstractmethod
    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether the names and numbers of these images are those of this set.

        The files have been listed without it, so that a wrong guess costs only a warning.
        """

    def reader(self, notes: Notes) -> Reader:
        """What reads the images of one source; masks are always image files."""
        return ImageReader(notes)

    def has_names(self, listing: Listing) -> bool:
        """Whether every image is called as those of the published set are."""
        return all(re.fullmatch(self.image_names, entry.name) for entry in listing.entries)

    def differences(self, listing: Listing) -> list[str]:
        """Sentences about what differs from the published set.

        Raises:
            DataError: an image is not called as the layout's images are.
        """
        if not self.has_names(listing):
            strangers = [e.name for e in listing.entries if not re.fullmatch(self.image_names, e.name)]
            got = f"{len(strangers)} images not called {self.image_names}, the first {strangers[0]!r}"
            raise DataError(f"format {self.name}: got {got}; must be that set, or import it as generic")
        sentences = []
        if self.num_images and len(listing.entries) != self.num_images:
            sentences.append(f"got {len(listing.entries)} images where the published set has {self.num_images}")
        for split, size in self.split_sizes.items():
            if split in listing.splits and len(listing.splits[split]) != size:
                got = f"got {len(listing.splits[split])} images in {split}"
                sentences.append(f"{got} where the published split has {size}")
        listed = {name for members in listing.splits.values() for name in members}
        if unlisted := [e.name for e in listing.entries if e.name not in listed]:
            sentences.append(f"{len(unlisted)} images are in no split, the first {unlisted[0]}")
        return sentences


def describe_folder(root: Path) -> str:
    """What a folder holds, in words that help whoever named the wrong one."""
    archives = sorted(p.name for p in root.glob("*.zip"))
    if archives:
        return f"{', '.join(archives)} still packed"
    inner = [p.name for p in files.folders(root) if any((p / n).is_dir() for n in IMAGE_FOLDERS)]
    if inner:
        return f"the folder above {', '.join(inner[:3])}"
    names = [files.legible(p.name) for p in files.children(root)]
    return f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else "an empty folder"
