"""Published sets of single images, and what tells one from another: names of images, and numbers of them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from irnas.data.folders import FolderLayout
from irnas.data.layout import Listing


class Sirst(FolderLayout):
    """SIRST (NUAA-SIRST), in its original form and in redistributions of it."""

    name = "sirst"
    image_names = r"Misc_\d+"
    num_images = 427
    split_sizes = MappingProxyType({"train": 213, "test": 214})


class NudtSirst(FolderLayout):
    """NUDT-SIRST, whose six-digit names others have too: it takes the right number of images, or the folder's name."""

    name = "nudt-sirst"
    image_names = r"\d{6}"
    num_images = 1327
    split_sizes = MappingProxyType({"train": 663, "test": 664})

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether names are of six digits, and either the number of images or the folder's name fits."""
        is_hinted = len(listing.entries) == self.num_images or self.name in root.name.lower()
        return is_hinted and self.has_names(listing)


class Irstd1k(FolderLayout):
    """IRSTD-1K."""

    name = "irstd-1k"
    image_names = r"XDU\d+"
    num_images = 1001
    split_sizes = MappingProxyType({"train": 800, "trainval": 800, "test": 201})


class SirstAug(FolderLayout):
    """SIRST-AUG, whose names are numbers of no fixed length: only the numbers of its images tell it from others."""

    name = "sirst-aug"
    num_images = 9070
    split_sizes = MappingProxyType({"train": 8525, "trainval": 8525, "test": 545})

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether there are as many images as published, in all and in the test split."""
        num_test = len(listing.splits.get("test", ()))
        return len(listing.entries) == self.num_images and num_test == self.split_sizes["test"]


class Generic(FolderLayout):
    """Any set of images and masks in folders of pairs, of which nothing is known."""

    name = "generic"

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Always: it is what a set is called that no other layout knows."""
        return True
