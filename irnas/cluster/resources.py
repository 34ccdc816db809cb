"""What trials take of a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass

from irnas.core.errors import SettingsError

_MOST = {"workers": 100_000, "threads": 4096, "gpus": 1024, "patience": 1e9, "memory": 2**50}
"""Far above any machine: beyond them is a slip of the keyboard."""


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

    def __post_init__(self) -> None:
        of_option = {"workers": self.workers, "threads": self.threads, "patience": self.patience_s}
        for name, value in {**of_option, "gpus": self.gpus, "memory": self.memory}.items():
            # Not "<": of what is not a number, every comparison is false.
            is_positive = value is not None and (value > 0 or (name == "gpus" and value == 0))
            if value is not None and not (is_positive and value <= _MOST[name]):
                least = "from 0" if name == "gpus" else "above 0"
                raise SettingsError(f"--{name}: got {value:g}; must be a number {least}, at most {_MOST[name]:g}")

    @property
    def at_once(self) -> int | None:
        """Trials handed out at the same time; None where the cluster's size decides."""
        return self.workers or (None if self.address else max((os.cpu_count() or 1) // self.threads, 1))
