"""Locks between the processes of one machine: on a run that is being searched, mirrored, fetched or built.

A lock is an advisory lock on a small file. The operating system frees it when its holder ends, however that happens,
so there are no stale locks and the file itself may stay. Threads of one process keep each other off, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from irnas.core.errors import SettingsError
from irnas.storage import files

try:
    import fcntl
except ImportError:  # Windows has no such locks: whoever writes there must be the only one.
    fcntl = None  # type: ignore[assignment]

IS_AVAILABLE = fcntl is not None
"""Whether this operating system has such locks."""

RUN_LOCK = "lock"
"""The file in a run's folder that a search holds while it appends to the record."""

MIRROR_LOCK = "mirror.lock"
"""The file in a run's folder that is held while the run is copied to MLflow."""

MAX_MIRROR_WAIT_S = 15.0
"""How long one mirror waits for another of the same run."""

_POLL_S = 0.1


@contextmanager
def hold(path: Path, refusal: str = "", *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock at ``path``, in a folder that exists, while the block runs.

    Args:
        path: the lock file, which is made where it is missing.
        refusal: what the error says where the lock is not to be had.
        wait_s: how long to wait for another holder; 0 refuses at once, and ``math.inf`` waits until it is free.

    Raises:
        SettingsError: another holder keeps it for longer than that.
    """
    with path.open("w") as file:
        deadline_s = time.monotonic() + wait_s
        while not _lock(file, waits=wait_s == math.inf):
            if time.monotonic() >= deadline_s:
                raise SettingsError(refusal or f"lock {path}: got a second holder; must be free")
            time.sleep(_POLL_S)
        yield


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock at ``path`` now."""
    if fcntl is not None and path.is_file():
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


@contextmanager
def hold_mirror(uri: str) -> Iterator[None]:
    """Keep other mirrors of a local run waiting: two that look and then create would make two runs of each.

    A run on an object store has no lock, and the block just runs.

    Raises:
        SettingsError: another one does not come to an end.
    """
    if not files.is_local(uri):
        yield
        return
    refusal = f"run {uri}: got a second mirror; another process is busy with it now"
    with hold(files.local(uri) / MIRROR_LOCK, refusal, wait_s=MAX_MIRROR_WAIT_S):
        yield


def is_being_written(uri: str) -> bool:
    """Whether a search holds the run now; assumed of a run that is not on this machine."""
    return not files.is_local(uri) or is_held(files.local(uri) / RUN_LOCK)


def _lock(file: IO[str], *, waits: bool) -> bool:
    """Take the lock of an open file; False where somebody else has it."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
