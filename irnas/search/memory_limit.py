"""A limit on the memory of a training, kept from within its process: it ends with an error that says so.

The kernel's own limits count what is reserved, and strike whichever thread asks next; a node that is full strikes
whichever process it likes. Here the training's thread gets an exception, and nobody else is harmed.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from pathlib import Path

_CHECK_EVERY_S = 0.2

_WORDS = re.compile("MemoryLimit|MemoryError|OutOfMemory|out of memory|allocate memory|bad_alloc|STATUS_ALLOC_FAILED")
"""What Python, torch and CUDA say; a test makes torch say it."""


def is_out_of_memory(error: str) -> bool:
    """Whether a training's error is that there was no more memory, in the words of Python, torch, CUDA or a limit."""
    return bool(_WORDS.search(error))


def resident_bytes() -> int:
    """Bytes that this process has allocated for itself and that lie in memory."""
    (kilobytes,) = re.findall(r"^RssAnon:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(kilobytes)


def enforce(limit: int, is_training: Callable[[], bool]) -> threading.Event:
    """From now on, raise a MemoryError in this thread whenever it ``is_training`` and its process exceeds ``limit``.

    The error is raised between two steps of Python; a step that never comes back to Python is not reached.

    Args:
        limit: bytes.
        is_training: says whether the thread trains at this moment; at other times nothing is raised.

    Returns:
        An event; setting it lifts the limit.
    """
    thread, is_over = ctypes.c_ulong(threading.get_ident()), threading.Event()

    def check() -> None:
        while not is_over.wait(_CHECK_EVERY_S):
            if is_training() and (now := resident_bytes()) > limit:
                text = f"its process has {now / 1e6:.0f} MB; must have at most {limit / 1e6:.0f} MB"
                error = type("MemoryLimit", (MemoryError,), {"__str__": lambda _, text=text: text})
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(error))

    threading.Thread(target=check, name="irnas-memory", daemon=True).start()
    return is_over
