"""One line on standard error where a store keeps somebody waiting, so that no wait is silent for long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOTICE_S = 8.0
"""Seconds of silence after which a wait is reported."""

_AGAIN_S = 300.0
"""Seconds in which the same store is not reported twice, however many calls wait for it."""

_lock = threading.Lock()
_said_at: dict[str, float] = {}
"""When each store was last reported, in seconds of the monotonic clock."""


@contextmanager
def report_silence(store: str) -> Iterator[None]:
    """Say that a store is waited for, if the block takes longer than ``NOTICE_S``.

    Args:
        store: what the line calls it; without credentials.
    """
    timer = threading.Timer(NOTICE_S, _tell, (store, NOTICE_S))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(store: str, silent_s: float) -> None:
    with _lock:
        now = time.monotonic()
        if now - _said_at.get(store, -_AGAIN_S) < _AGAIN_S:
            return
        _said_at[store] = now
    print(f"irnas: {store} has not answered for {silent_s:g} s; it is asked again, for minutes", file=sys.stderr)
