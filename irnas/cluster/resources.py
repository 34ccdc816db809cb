"""What trials take of a cluster."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

from irnas.core.errors import SettingsError

AUTO = "auto"
"""Instead of a share of a GPU: as many trials on each GPU as fit."""
GPU_BYTES_OF_TRIAL = 6 * 2**30
"""What a trial is granted of a GPU's memory before anybody knows better; one that needs more halves the packing."""
MOST_ON_A_GPU = 16
"""Trials on a GPU: beyond that they only wait for one another."""

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
    gpus: float | None = None
    """Share of a GPU that a trial takes; 0 trains on the CPU, None puts as many on each GPU as fit."""
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

    @property
    def num_on_a_gpu(self) -> int:
        """Trials that share a GPU; 0 where none is used."""
        return max(int(1 / self.gpus), 1) if self.gpus else 0

    def with_gpus(self, *, num_gpus: int, num_cores: int, gpu_bytes: int | None = None) -> Resources:
        """These with a share of a GPU, where they leave it open: all GPUs are used, as memory and cores allow.

        Args:
            num_gpus: those there are.
            num_cores: those of the same machines.
            gpu_bytes: memory of the smallest GPU; None where nobody knows it.
        """
        if self.gpus is not None:
            return self
        if not num_gpus:
            return replace(self, gpus=0.0)
        limits = [MOST_ON_A_GPU, num_cores // (self.threads * num_gpus)]
        limits += [gpu_bytes // GPU_BYTES_OF_TRIAL] if gpu_bytes is not None else []
        limits += [math.ceil(self.workers / num_gpus)] if self.workers else []
        num_on_each = max(min(limits), 1)
        # A trial that waits for its share of a GPU would have been chosen without the results it waits for.
        workers = self.workers if self.address else min(self.at_once or 1, num_on_each * num_gpus)
        return replace(self, gpus=share_of(num_on_each), workers=workers)


def share_of(num_on_a_gpu: int) -> float:
    """The share of each of so many trials on a GPU; rounded down, as Ray counts in ten-thousandths."""
    return math.floor(1e4 / num_on_a_gpu) / 1e4


def parse_gpus(text: str) -> float | None:
    """The share that ``--gpus`` names; None for ``auto``.

    Raises:
        SettingsError: it is neither that nor a number.
    """
    if text == AUTO:
        return None
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"--gpus: got {text!r}; must be {AUTO}, or the share of a GPU each trial takes") from None
