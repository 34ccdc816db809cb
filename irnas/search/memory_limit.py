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

_LOOKS_S = 0.2

_WORDS = re.compile("MemoryLimit|MemoryError|OutOfMemory|allocate memory|bad_alloc")


def was_short(error: str) -> bool:
    """Whether a training's error is that there was no more memory, in the words of Python, torch, CUDA or a limit."""
    return bool(_WORDS.search(error))


def taken() -> int:
    """Bytes that this process has taken for itself and that lie in memory."""
    (found,) = re.findall(r"^RssAnon:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found)


def watch(limit: int, is_at_work: Callable[[], bool]) -> threading.Event:
    """From now on, while this thread ``is_at_work``, raise an error in it whenever its process has more than ``limit``.

    Setting the event that is returned ends it.

    What is raised is a MemoryError, between two steps of Python; one that never comes back to Python is not reached.
    """
    me, is_over = ctypes.c_ulong(threading.get_ident()), threading.Event()

    def look() -> None:
        while not is_over.wait(_LOOKS_S):
            if is_at_work() and (now := taken()) > limit:
                text = f"its process has {now / 1e6:.0f} MB; must have at most {limit / 1e6:.0f} MB"
                error = type("MemoryLimit", (MemoryError,), {"__str__": lambda _, text=text: text})
                ctypes.pythonapi.PyThreadState_SetAsyncExc(me, ctypes.py_object(error))

    threading.Thread(target=look, name="irnas-memory", daemon=True).start()
    return is_over
