"""Published sets of single images, and what tells one from another: names of images, and numbers of them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from irnas.core.errors import DataError
from irnas.data import files
from irnas.data.folders import MASK_FOLDERS, FolderLayout, pair_files
from irnas.data.layout import Entry, Layout, Listing, describe_folder


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


class SirstV2(Layout):
    """SIRST-v2: all images in mixed/, masks in annotations/masks/, lists that end in full, v1 and more."""

    name = "sirst-v2"
    image_names = r"(Misc|S\d+)_\d+"
    num_images = 1024
    split_sizes = MappingProxyType({"train": 512, "val": 256, "test": 256})
    protocol = "full"

    def owns(self, root: Path) -> bool:
        """Whether there is a folder of all images beside annotations with masks."""
        return (root / "mixed").is_dir() and (root / "annotations" / "masks").is_dir()

    def list_files(self, root: Path) -> Listing:
        """The images of mixed/; a background without a mask file has no target."""
        if not self.owns(root):
            raise DataError(f"source {root}: got {describe_folder(root)}; must have mixed and annotations/masks")
        images, masks = root / "mixed", root / "annotations" / "masks"
        backgrounds = files.image_files(root / "images" / "backgrounds")
        return Listing(entries=tuple(pair_files(images, masks, empty=backgrounds.keys())))

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether it is built as this set is, and the images are called as its images are."""
        return self.owns(root) and self.has_names(listing)


class SatVideoIrstd(FolderLayout):
    """SatVideoIRSTD: sequences of six-digit names in parts, each with img/ and mask/."""

    name = "satvideoirstd"
    image_names = r"((train|val|test)/)?\d{6}/\d{6}"

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether all images are frames of sequences with folders of their own for images and masks."""
        is_built_so = all(entry.image.parent.name == "img" and entry.sequence for entry in listing.entries)
        return is_built_so and bool(listing.splits) and self.has_names(listing)


class MdvsFa(Layout):
    """MDvsFA (NUST-SIRST): training/ with <n>_1 for images and <n>_2 for masks, test_org/ and test_gt/."""

    name = "mdvsfa"
    image_names = r"(training|test)/\d+"
    num_images = 10100
    split_sizes = MappingProxyType({"train": 10000, "test": 100})

    def owns(self, root: Path) -> bool:
        """Whether images and masks to test on lie in folders of these names, and those to train on in one."""
        return all((root / name).is_dir() for name in ("training", "test_org", "test_gt"))

    def list_files(self, root: Path) -> Listing:
        """Pairs by number; a number of which only the image or only the mask is there is an error."""
        if not self.owns(root):
            got = describe_folder(root)
            raise DataError(f"source {root}: got {got}; must have training, test_org and test_gt")
        training = files.image_files(root / "training")
        images = {name.removesuffix("_1"): path for name, path in training.items() if name.endswith("_1")}
        masks = {name.removesuffix("_2"): path for name, path in training.items() if name.endswith("_2")}
        if lonely := sorted(images.keys() ^ masks.keys()):
            got = f"{len(lonely)} numbers with an image or a mask only, the first {lonely[0]!r}"
            raise DataError(f"folder {root / 'training'}: got {got}; must have both")
        train = [Entry(name=f"training/{n}", image=path, mask=masks[n]) for n, path in images.items()]
        pairs = pair_files(root / "test_org", root / "test_gt")
        test = [Entry(name=f"test/{e.name}", image=e.image, mask=e.mask) for e in pairs]
        splits = {"train": tuple(e.name for e in train), "test": tuple(e.name for e in test)}
        return Listing(entries=(*train, *test), splits={k: v for k, v in splits.items() if v})

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether it is built as this set is."""
        return self.owns(root)


class Generic(FolderLayout):
    """Any set of images and masks in folders of pairs, of which nothing is known."""

    name = "generic"
    mask_folders = (*MASK_FOLDERS, "labels", "label", "gt", "ground_truth", "groundtruth", "annotations")

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Always: it is what a set is called that no other layout knows."""
        return True
