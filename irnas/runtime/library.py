"""The C++ engine as a plain library behind ctypes (native/include/xnor.h).

It is no extension module, so one build serves every version of Python. It lies beside this file in an installation; a
checkout builds it with CMake into build/; XNOR_LIBRARY names any other.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import Any

from irnas.core.errors import ExportError, FormatError, SettingsError

_ABI = 6
_NAMES = ("_xnor.so", "_xnor.dylib", "_xnor.dll")
_BUILD = "cmake -S . -B build && cmake --build build"


class Info(ctypes.Structure):
    """``xnor_info`` of xnor.h."""

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


class StepOfLibrary(ctypes.Structure):
    """``xnor_step`` of xnor.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("op", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("nanoseconds", ctypes.c_uint64),
    )


def raise_status(code: int, text: bytes) -> None:
    """Raise the exception of a status of the engine, with its text; codes as in xnor.h, and 0 is none."""
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


def load_library() -> ctypes.CDLL:
    """Load the engine, once for each file.

    Raises:
        ExportError: it has not been built, or is of another version.
    """
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
        "xnor_describe": (None, [handle, ctypes.POINTER(Info)]),
        "xnor_prepare": (ctypes.c_int, [handle, int32, int32, int32, int32, int32]),
        "xnor_verify": (ctypes.c_int, [handle, int32, int32]),
        "xnor_run": (ctypes.c_int, [handle, address, int32, int32, int32, int32, address]),
        "xnor_profile": (
            ctypes.c_int,
            [handle, address, int32, int32, int32, int32, address, address, size, ctypes.POINTER(size)],
        ),
        "xnor_error": (text, []),
        "xnor_free": (None, [handle]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
