"""Calls to what fails now and then: tried again after waits that grow, until one of them succeeds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def doubling(first_s: float, num: int, largest_s: float) -> tuple[float, ...]:
    """``num`` waits, each twice the one before and none above ``largest_s``, in seconds."""
    return tuple(min(first_s * 2.0**i, largest_s) for i in range(num))


def retry(
    call: Callable[[], T],
    waits_s: Sequence[float],
    *,
    on: tuple[type[Exception], ...],
    unless: tuple[type[Exception], ...] = (),
    progress: Callable[[], object] = lambda: None,
) -> T:
    """Return what ``call`` returns, called again after each wait while it fails.

    Each wait is stretched or cut by up to half, at random, so that many who failed together do not return together.

    Args:
        call: what may fail.
        waits_s: seconds between calls; there is one call more than there are waits.
        on: errors after which another call is worth a try; others pass at once, and so does the last of these.
        unless: errors that pass at once although they are among those.
        progress: how far ``call`` has come; after a failure that came further, all waits are to be had again.
    """
    failures = 0
    while True:
        before = progress()
        try:
            return call()
        except unless:
            raise
        except on:
            failures = 1 if progress() != before else failures + 1
            if failures > len(waits_s):
                raise
            time.sleep(waits_s[failures - 1] * random.uniform(0.5, 1.5))
