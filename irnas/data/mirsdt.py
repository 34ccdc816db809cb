"""NUDT-MIRSDT: sequences whose frames are .mat files, each a stack ``Mix`` that ends with its frame.

The last five slices of a stack are the window of frames that ends at its own.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from irnas.core.errors import DataError
from irnas.data.decode import Notes, read_image
from irnas.data.files import children, image_files
from irnas.data.frames import frame_numbers
from irnas.data.layout import Entry, Layout, Listing, Reader, describe_folder
from irnas.data.sample import Bytes

WINDOW = 5


class NudtMirsdt(Layout):
    """NUDT-MIRSDT: Sequence<k>/Mix/<frame>.mat or Sequence<k>/images/<frame>.png, and Sequence<k>/masks/<frame>.png."""

    name = "nudt-mirsdt"
    image_names = r"Sequence\d+/\d+"
    num_images = 10000
    split_sizes = MappingProxyType({"train": 8000, "test": 2000})

    def owns(self, root: Path) -> bool:
        """Whether there are sequences with masks of their own."""
        return any(root.glob("Sequence*/masks"))

    def list_files(self, root: Path) -> Listing:
        """The frames of all sequences; other masks beside theirs are passed over."""
        entries = [e for folder in sorted(root.glob("Sequence*")) if folder.is_dir() for e in _list_sequence(folder)]
        if not entries:
            raise DataError(f"source {root}: got {describe_folder(root)}; must have Sequence1/Mix and Sequence1/masks")
        return Listing(entries=tuple(entries))

    def recognises(self, root: Path, listing: Listing) -> bool:
        """Whether the first image is a stack or lies in a folder called Sequence."""
        first = listing.entries[0]
        return first.image.suffix == ".mat" or first.name.startswith("Sequence")

    def reader(self, notes: Notes) -> Reader:
        """A reader of stacks, and of images where frames have been unpacked."""
        return MixReader(notes)


def _list_sequence(folder: Path) -> list[Entry]:
    images = image_files(folder / "images") or {
        p.stem: p for p in children(folder / "Mix") if p.suffix.lower() == ".mat"
    }
    masks = image_files(folder / "masks")
    for what, unpaired in (
        ("images without a mask", images.keys() - masks),
        ("masks without an image", masks.keys() - images),
    ):
        if unpaired:
            got = f"{len(unpaired)} {what}, the first {min(unpaired)!r}"
            raise DataError(f"{folder}: got {got}; must have one each")
    numbers = frame_numbers(images)
    return [
        Entry(name=f"{folder.name}/{key}", image=path, mask=masks[key], sequence=folder.name, frame=numbers[key])
        for key, path in images.items()
    ]


@dataclass(slots=True)
class MixReader:
    """Reads stacks frame by frame, and checks that windows can be rebuilt from the frames alone.

    Only the newest slice of a stack is stored. That loses nothing if the other four are the frames before it, which is
    what this counts; where a sequence begins, there is nothing to compare with.
    """

    notes: Notes
    sequence: str = ""
    frames: list[Bytes] = field(default_factory=list)
    compared: int = 0
    different: int = 0

    def read(self, entry: Entry) -> Bytes:
        """The frame of an entry, uint8 [H, W]. Call it in the order of the frames.

        Raises:
            DataError: the file cannot be read, or has no stack of at least five slices of grey levels in 0..255.
        """
        if entry.image.suffix.lower() != ".mat":
            return read_image(entry.image, self.notes, entry.page)
        stack = _read_stack(entry.image)
        if entry.sequence != self.sequence:
            self.sequence, self.frames = entry.sequence, []
        if len(self.frames) == WINDOW - 1 and all(f.shape == stack.shape[1:] for f in self.frames):
            self.compared += 1
            self.different += not np.array_equal(np.stack(self.frames), stack[:-1])
        self.frames = [*self.frames, stack[-1]][-(WINDOW - 1) :]
        return self.frames[-1]

    def sentences(self) -> list[str]:
        """A warning where windows are not the frames before."""
        if not self.different:
            return []
        which = f"{self.different} of {self.compared} stacks Mix"
        return [f"{which} do not hold the frames before theirs: only their last slice is kept"]


def _read_stack(path: Path) -> Bytes:
    """The last five slices of ``Mix``, uint8 [5, H, W]."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        variables = loadmat(path, variable_names=["Mix"])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        raise DataError(f"stack {path}: got a file that cannot be read ({error}); must be a MATLAB 5 file") from None
    if "Mix" not in variables:
        raise DataError(f"stack {path}: got no variable Mix; must have one")
    stack = np.asarray(variables["Mix"])
    if stack.ndim != 3 or stack.shape[0] < WINDOW or stack.dtype.kind not in "uif":
        raise DataError(f"stack {path}: got Mix of {stack.dtype} {list(stack.shape)}; must be numbers [T >= 5, H, W]")
    stack = stack[-WINDOW:]
    if not (np.isfinite(stack).all() and stack.min() >= -0.5 and stack.max() <= 255.5):
        raise DataError(f"stack {path}: got values {stack.min()}..{stack.max()}; must be in 0..255")
    return np.asarray(np.clip(np.rint(stack), 0, 255), dtype=np.uint8)
