"""Whose turn it is with a run: locks between the processes of one machine."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from irnas import storage
from irnas.core.errors import SettingsError

MAX_WAIT_S = 15.0
"""How long one mirror waits for another of the same run."""


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Keep other mirrors of a local run waiting: two that look and then create would make two runs of each.

    Raises:
        SettingsError: another one does not come to an end.
    """
    if not storage.is_local(uri):
        yield
        return
    with (storage.local(uri) / "mirror.lock").open("w") as lock:
        deadline = time.monotonic() + MAX_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SettingsError(
                        f"run {uri}: got a second mirror; another process is busy with it now"
                    ) from None
                time.sleep(0.1)
        yield


def is_being_written(uri: str) -> bool:
    """Whether a search holds the run now; assumed of a run that is not on this machine."""
    if not storage.is_local(uri):
        return True
    path = storage.local(uri) / "lock"
    if not path.is_file():
        return False
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
