"""The XNOR engine in Python: loads a .xnor file and runs it on images."""

from __future__ import annotations

import ctypes
import json
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError, FormatError, SettingsError
from irnas.runtime import foreign
from irnas.runtime.format import HALF
from irnas.runtime.library import Info, StepOfLibrary, load_library, raise_status
from irnas.runtime.step import Step, step_of
from irnas.runtime.value_range import ValueRange, map_counts

Masks = npt.NDArray[np.float32]

_MODES = {"auto": 0, "streamed": 1, "layers": 2}
_U8, _F32 = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a loaded model says about itself."""

    kernels: str
    """The kernel set that runs."""
    channels: int
    """Of the input; grey images are repeated."""
    multiple: int
    """Height and width of a map must be multiples of it."""
    pad: int
    """Images are extended to multiples of it while they run."""
    num_ops: int
    metadata: Mapping[str, str]
    """The file's metadata (FORMAT.md, section 2) without the graph."""
    counts: ValueRange | None = None
    """How training mapped images of more than 8 bits (FORMAT.md, section 8); None where there were none."""
    threshold: float = HALF
    """A target is where the probability exceeds it (FORMAT.md, section 6)."""


def kernels() -> list[str]:
    """Return the names of the kernel sets that this machine can run, best first; the last is always "reference".

    Raises:
        ExportError: the library has not been built.
    """
    names: bytes = load_library().xnor_kernels()
    return names.decode().split()


class Probe:
    """Measures two speeds of this machine: of one addition after the other, and of comparing bits."""

    def __init__(self) -> None:
        self._library = load_library()

    def spin(self, additions: int) -> None:
        """Add that many numbers, each addition waiting for the one before: one a clock cycle."""
        self._library.xnor_spin(additions)

    def count(self, kernels: str, rounds: int) -> int:
        """Compare bits as fast as a kernel set can, with nothing to wait for; returns how many pairs it compared.

        0 for a set that is unknown, that does not run here, or that has no instructions for it (``reference``).
        """
        return int(self._library.xnor_count(kernels.encode(), rounds))


def load(path: str | Path, *, kernels: str | None = None) -> Model:
    """Load the model in a .xnor file.

    Args:
        path: of the file.
        kernels: the kernel set to run; None for the one that the variable XNOR_KERNELS names, else the best.

    Raises:
        FormatError: the file is another kind of file, which the message names, or breaks a rule of FORMAT.md; then it
            names the rule.
        SettingsError: a kernel set that is unknown, or that this machine cannot run; the message lists those it can.
        ExportError: the library has not been built.
        OSError: there is no such file, or it cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        # A pipe would be waited for, and some devices never end.
        got = "a folder" if path.is_dir() else "no regular file"
        raise FormatError(f"{path}: got {got}; must be a .xnor file")
    content = path.read_bytes()
    try:
        return Model(content, kernels=kernels)
    except FormatError as problem:
        if what := foreign.name_content(content):
            raise FormatError(f"{path}: got {what}; must be a .xnor file, as `irnas export` writes it") from None
        raise FormatError(f"{path}: {problem}") from None


class Model:
    """A loaded model, for any number of threads: they take turns, and each gets the masks that it would get alone.

    Loading it twice serves two threads at once. A forked process goes on with the models of its parent.

    Args:
        content: of a .xnor file.
        kernels: as in ``load``.
    """

    def __init__(self, content: bytes, *, kernels: str | None = None) -> None:
        self._handle = ctypes.c_void_p()
        self._library = load_library()
        self._renew()
        text = ctypes.create_string_buffer(1024)
        name = kernels.encode() if kernels else None
        code = self._library.xnor_load(content, len(content), name, ctypes.byref(self._handle), text, len(text))
        raise_status(code, text.value)
        _models.add(self)

    def _renew(self) -> None:
        # A lock for each call as a whole, since calls of the library alone could meet what another thread prepared. It
        # may be taken twice, or a signal's handler that runs the model would wait for what it interrupts.
        self._lock = threading.RLock()
        self._prepared: tuple[int, int, bool, int, str] | None = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.xnor_free(self._handle)
            self._handle = ctypes.c_void_p()

    @property
    def facts(self) -> Facts:
        """What the model says about itself."""
        info = self._info()
        counts = info.counts[:] if info.has_counts else None
        return Facts(
            kernels=info.kernels.decode(),
            channels=info.channels,
            multiple=info.multiple,
            pad=info.pad,
            num_ops=info.num_ops,
            metadata=json.loads(info.metadata.decode()),
            counts=ValueRange(*counts) if counts else None,
            threshold=info.threshold,
        )

    @property
    def arena_bytes(self) -> int:
        """Memory for maps, of the size of images that ran last; 0 before."""
        return int(self._info().arena_bytes)

    @property
    def mode(self) -> str:
        """How the last run went: "streamed" (depth first, in bands of rows) or "layers"; "auto" before the first."""
        now = self._info().mode
        return next(name for name, code in _MODES.items() if code == now)

    def run(
        self,
        images: npt.NDArray[Any],
        threads: int = 1,
        *,
        extend: bool = True,
        mode: str = "auto",
        value_range: ValueRange | None = None,
    ) -> Masks:
        """Compute the probability of a target at each pixel, float32 [N, H, W].

        A mask is where it exceeds ``facts.threshold``.

        Args:
            images: [N, H, W] or [N, H, W, channels], uint8 of 0..255 or float32 of the range that the file states, or
                counts, uint16 [N, H, W], which become 0..255 as in training (FORMAT.md, section 8).
            threads: to share the work among; the result does not depend on it.
            extend: extends images of other sizes to multiples of ``facts.pad`` while they run; without it their height
                and width must be multiples of ``facts.multiple``.
            mode: "auto", or one way of running: "streamed" or "layers". The result does not depend on it either.
            value_range: of counts, instead of the one in the file; without either it is that of all these images.

        Raises:
            DataError: images of another kind or shape.
            SettingsError: a size that the model cannot take, a number of threads out of 1..256, or an unknown mode.
            MemoryError: an image whose maps take more than 4 GiB, or than there is.
        """
        if images.dtype == np.uint16 and images.ndim == 3 and images.size:
            images = map_counts(images, self.facts.counts, value_range)
        images, channels = self._check_images(images)
        num, height, width = images.shape[:3]
        masks = np.empty((num, height, width), np.float32)
        with self._lock:
            self._prepare(height, width, extend, threads, mode)  # which refuses even where there are no images
            for image, mask in zip(images, masks, strict=True):
                # Again for each: a signal's handler may have run another size in between.
                self._prepare(height, width, extend, threads, mode)
                self._run(image, channels, mask)
        return masks

    def profile(self, image: npt.NDArray[Any], *, extend: bool = True, mode: str = "auto") -> list[Step]:
        """Run one image on one thread and say what each step took, by the wall clock.

        The clock is read once a row of a map, which takes some nanoseconds that count too.

        Args:
            image: [H, W] or [H, W, channels], as in ``run``.
            extend, mode: as in ``run``.

        Raises:
            DataError, SettingsError: as in ``run``.
        """
        (image,), channels = self._check_images(image[None])
        height, width = image.shape[:2]
        mask, num, kind = np.empty((height, width), np.float32), ctypes.c_size_t(), _kind(image)
        place = (image.ctypes.data, height, width, kind, channels, mask.ctypes.data)
        with self._lock:
            self._prepare(height, width, extend, 1, mode)
            self._check(self._library.xnor_profile(self._handle, *place, None, 0, ctypes.byref(num)))
            steps = (StepOfLibrary * num.value)()
            self._check(self._library.xnor_profile(self._handle, *place, steps, num.value, ctypes.byref(num)))
        return [step_of(each) for each in steps]

    def verify(self, threads: int = 1, *, mode: str = "auto") -> None:
        """Repeat the reference run that the file holds (FORMAT.md, section 7).

        Raises:
            FormatError: the result differs, if only in one bit.
            SettingsError: as in ``run``.
        """
        if mode not in _MODES:
            raise SettingsError(f"mode: got {mode!r}; one of {', '.join(_MODES)}")
        with self._lock:
            self._prepared = None
            self._check(self._library.xnor_verify(self._handle, threads, _MODES[mode]))

    def _check_images(self, images: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
        if images.dtype not in (np.uint8, np.float32):
            raise DataError(f"images: got {images.dtype}; must be uint8 or float32, or uint16 [N, H, W]")
        own = self._info().channels
        channels = images.shape[3] if images.ndim == 4 else 1
        if images.ndim not in (3, 4) or channels not in (1, own) or 0 in images.shape[1:]:
            raise DataError(f"images: got shape {images.shape}; must be [N, H, W] or [N, H, W, {own}]")
        return np.ascontiguousarray(images), channels

    def _run(self, image: npt.NDArray[Any], channels: int, mask: Masks) -> None:
        place = (image.ctypes.data, *image.shape[:2], _kind(image), channels, mask.ctypes.data)
        self._check(self._library.xnor_run(self._handle, *place))

    def _prepare(self, height: int, width: int, extend: bool, threads: int, mode: str) -> None:
        if mode not in _MODES:
            raise SettingsError(f"mode: got {mode!r}; one of {', '.join(_MODES)}")
        wanted = (height, width, extend, threads, mode)
        if wanted != self._prepared:
            self._prepared = None
            self._check(self._library.xnor_prepare(self._handle, *wanted[:4], _MODES[mode]))
            self._prepared = wanted

    def _check(self, code: int) -> None:
        if code:
            raise_status(code, self._library.xnor_error())

    def _info(self) -> Info:
        info = Info()
        self._library.xnor_describe(self._handle, ctypes.byref(info))
        return info


def _kind(image: npt.NDArray[Any]) -> int:
    return _U8 if image.dtype == np.uint8 else _F32


_models: weakref.WeakSet[Model] = weakref.WeakSet()


def _renew_models() -> None:
    """Give a forked process locks that no thread of its parent holds, and let it prepare anew."""
    for model in _models:
        model._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_models)
