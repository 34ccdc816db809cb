"""Calls the C++ engine through ctypes and its C interface (native/include/xnor.h).

The library is a plain one, not an extension module, so one build serves every version of Python. It lies beside this
file in an installation; a checkout builds it with CMake into build/; XNOR_LIBRARY names any other.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError, ExportError, FormatError, SettingsError
from irnas.runtime.format import HALF
from irnas.runtime.value_range import ValueRange, map_counts

Masks = npt.NDArray[np.float32]

_ABI = 4
_MODES = {"auto": 0, "streamed": 1, "layers": 2}
_NAMES = ("_xnor.so", "_xnor.dylib", "_xnor.dll")
_BUILD = "cmake -S . -B build && cmake --build build"
_U8, _F32 = 0, 1


class _Info(ctypes.Structure):
    _fields_ = (
        ("kernels", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("channels", ctypes.c_int32),
        ("multiple", ctypes.c_int32),
        ("pad", ctypes.c_int32),
        ("num_ops", ctypes.c_int32),
        ("mode", ctypes.c_int32),
        ("arena_bytes", ctypes.c_size_t),
        ("has_counts", ctypes.c_int32),
        ("counts", ctypes.c_double * 2),
        ("threshold", ctypes.c_double),
    )


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
    names: bytes = _load_library().xnor_kernels()
    return names.decode().split()


class Probe:
    """Measures two speeds of this machine: of one addition after the other, and of comparing bits."""

    def __init__(self) -> None:
        self._library = _load_library()

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
        FormatError: the file breaks a rule of FORMAT.md; the message names the rule.
        SettingsError: a kernel set that is unknown, or that this machine cannot run; the message lists those it can.
        ExportError: the library has not been built.
        OSError: there is no such file, or it cannot be read.
    """
    try:
        return Model(Path(path).read_bytes(), kernels=kernels)
    except FormatError as problem:
        raise FormatError(f"{path}: {problem}") from None


class Model:
    """A loaded model. It serves one thread at a time; loading it twice serves two.

    Args:
        content: of a .xnor file.
        kernels: as in ``load``.
    """

    def __init__(self, content: bytes, *, kernels: str | None = None) -> None:
        self._handle = ctypes.c_void_p()
        self._library = _load_library()
        self._prepared: tuple[int, int, bool, int, str] | None = None
        text = ctypes.create_string_buffer(1024)
        name = kernels.encode() if kernels else None
        code = self._library.xnor_load(content, len(content), name, ctypes.byref(self._handle), text, len(text))
        _raise(code, text.value)

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
        return next(name for name, code in _MODES.items() if code == self._info().mode)

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
        """
        if images.dtype == np.uint16 and images.ndim == 3 and images.size:
            images = map_counts(images, self.facts.counts, value_range)
        images, channels = self._check_images(images)
        num, height, width = images.shape[:3]
        self._prepare(height, width, extend, threads, mode)
        masks = np.empty((num, height, width), np.float32)
        kind = _U8 if images.dtype == np.uint8 else _F32
        for image, mask in zip(images, masks, strict=True):
            self._check(self._library.xnor_run(self._handle, image.ctypes.data, kind, channels, mask.ctypes.data))
        return masks

    def verify(self, threads: int = 1, *, mode: str = "auto") -> None:
        """Repeat the reference run that the file holds (FORMAT.md, section 7).

        Raises:
            FormatError: the result differs, if only in one bit.
            SettingsError: as in ``run``.
        """
        if mode not in _MODES:
            raise SettingsError(f"mode: got {mode!r}; one of {', '.join(_MODES)}")
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
            _raise(code, self._library.xnor_error(self._handle))

    def _info(self) -> _Info:
        info = _Info()
        self._library.xnor_describe(self._handle, ctypes.byref(info))
        return info


def _raise(code: int, text: bytes) -> None:
    """Raise the exception of a status of the engine; codes as in xnor.h."""
    if code == 0:
        return
    message = text.decode(errors="replace")
    if code == 1:
        raise SettingsError(message)
    raise MemoryError(message) if code == 4 else FormatError(message)


def _find_library() -> Path:
    path_of_user = os.environ.get("XNOR_LIBRARY")
    if path_of_user:
        return Path(path_of_user)
    package = Path(__file__).parent
    # In a checkout, where CMake's build folder has the tree of the sources.
    for folder in (package, package.parent.parent / "build" / "irnas" / "runtime" / "native"):
        for name in _NAMES:
            if (folder / name).is_file():
                return folder / name
    raise ExportError(f"XNOR engine: got no library beside {__file__}; must be built: {_BUILD}")


def _load_library() -> ctypes.CDLL:
    return _open(str(_find_library()))


@functools.cache
def _open(path: str) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(path)
    except OSError as problem:
        raise ExportError(f"XNOR engine: got {problem}; must be a library built by: {_BUILD}") from None
    # First of all: an older library may lack what is looked up below.
    version = library.xnor_abi() if hasattr(library, "xnor_abi") else "of another library"
    if version != _ABI:
        raise ExportError(f"XNOR engine: got interface {version}; must be {_ABI}, built by: {_BUILD}")
    handle, text, int32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
    size, address = ctypes.c_size_t, ctypes.c_void_p
    kinds: dict[str, tuple[Any, list[Any]]] = {
        "xnor_kernels": (text, []),
        "xnor_spin": (ctypes.c_uint64, [ctypes.c_uint64]),
        "xnor_count": (ctypes.c_uint64, [text, ctypes.c_uint64]),
        "xnor_load": (ctypes.c_int, [text, size, text, ctypes.POINTER(handle), address, size]),
        "xnor_describe": (None, [handle, ctypes.POINTER(_Info)]),
        "xnor_prepare": (ctypes.c_int, [handle, int32, int32, int32, int32, int32]),
        "xnor_verify": (ctypes.c_int, [handle, int32, int32]),
        "xnor_run": (ctypes.c_int, [handle, address, int32, int32, address]),
        "xnor_error": (text, [handle]),
        "xnor_free": (None, [handle]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
