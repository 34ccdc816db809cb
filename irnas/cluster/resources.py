"""What trials take of a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What each trial takes, and where."""

    address: str | None = None
    """A cluster to join, as ``ray.init`` takes it; None starts one on this machine."""
    workers: int | None = None
    """Trials at the same time; None means as many as have their cores."""
    threads: int = 1
    """Cores that a trial takes."""
    gpus: float = 0.0
    """Share of a GPU that a trial takes."""
    patience_s: float | None = None
    """Seconds of silence after which a trial's worker is killed; None goes by how long others were silent."""
    memory: int | None = None
    """Bytes that a trial's process may take; None leaves it to Ray, which kills some on a node that is nearly full."""

    @property
    def at_once(self) -> int | None:
        """Trials handed out at the same time; None where the cluster's size decides."""
        return self.workers or (None if self.address else max((os.cpu_count() or 1) // self.threads, 1))
