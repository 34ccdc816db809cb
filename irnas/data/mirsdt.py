"""Frames of NUDT-MIRSDT: a .mat file holds a stack ``Mix`` whose last five slices are a window ending at its frame."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from irnas.core.errors import DataError
from irnas.data.sample import Bytes

WINDOW = 5


@dataclass(slots=True)
class MixReader:
    """Reads stacks frame by frame, and checks that windows can be rebuilt from the frames alone.

    Only the newest slice of a stack is stored. That loses nothing if the other four are the frames before it, which is
    what this counts; where a sequence begins, there is nothing to compare with.
    """

    sequence: str = ""
    frames: list[Bytes] = field(default_factory=list)
    compared: int = 0
    different: int = 0

    def read(self, path: Path, sequence: str) -> Bytes:
        """The frame of a stack, uint8 [H, W]. Call it in the order of the frames.

        Raises:
            DataError: the file cannot be read, or has no stack of at least five slices of grey levels in 0..255.
        """
        stack = _read_stack(path)
        if sequence != self.sequence:
            self.sequence, self.frames = sequence, []
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
        found = loadmat(path, variable_names=["Mix"])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        raise DataError(f"stack {path}: got a file that cannot be read ({error}); must be a MATLAB 5 file") from None
    if "Mix" not in found:
        raise DataError(f"stack {path}: got no variable Mix; must have one")
    stack = np.asarray(found["Mix"])
    if stack.ndim != 3 or stack.shape[0] < WINDOW or stack.dtype.kind not in "uif":
        raise DataError(f"stack {path}: got Mix of {stack.dtype} {list(stack.shape)}; must be numbers [T >= 5, H, W]")
    stack = stack[-WINDOW:]
    if not (np.isfinite(stack).all() and stack.min() >= -0.5 and stack.max() <= 255.5):
        raise DataError(f"stack {path}: got values {stack.min()}..{stack.max()}; must be in 0..255")
    return np.asarray(np.clip(np.rint(stack), 0, 255), dtype=np.uint8)
