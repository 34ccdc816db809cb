"""What is timed, and how: in turn, so that all meet the same disturbances."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas import runtime

Map = npt.NDArray[np.float32]
Run = Callable[[], Map]
"""One run on one image; yields the probability of each pixel, [H, W]."""

# Some 30 and 90 microseconds: long beside what a call costs, short beside a change of the clock rate.
_ADDITIONS = 100_000
_ROUNDS = 2_000
# M_MMAP_MAX and M_TRIM_THRESHOLD of glibc's malloc.h.
_MOST_MAPPED, _TRIM_FROM = -4, -1


@dataclass(slots=True, kw_only=True)
class Subject:
    """A network on an engine."""

    model: str
    engine: str
    kernels: str
    run: Run
    threads: int = 1
    ends: Run | None = None
    """The same network without its blocks, whose time is subtracted; None for a network that is timed as a whole."""
    blocks: int = 1
    """By how many the rest is divided."""
    bit_macs: float = 0.0
    """Binary multiplications with their additions in what is timed; 0 where nobody counts cycles."""
    difference: float | None = None
    """The largest difference of a probability to the first subject's."""
    agreement: float | None = None
    """The share of the mask's pixels that are as in the first subject's."""
    times_ms: list[float] = field(default_factory=list)
    ends_ms: list[float] = field(default_factory=list)
    clocks_ghz: list[float] = field(default_factory=list)

    def milliseconds(self, of: Callable[[Sequence[float]], float]) -> float:
        """``min`` or ``median`` of the runs, of one block where the subject is a chain of them."""
        return (of(self.times_ms) - (of(self.ends_ms) if self.ends_ms else 0.0)) / self.blocks

    def cycles(self) -> float:
        """Clock cycles of the fastest run (or block), by the highest clock rate seen: no fewer than there were."""
        return self.milliseconds(min) * 1e6 * max(self.clocks_ghz)

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        return {
            "model": self.model,
            "engine": self.engine,
            "kernels": self.kernels,
            "threads": self.threads,
            "ms_min": self.milliseconds(min),
            "ms_median": self.milliseconds(median),
            "max_difference": self.difference,
            "mask_agreement": self.agreement,
        }


def measure(subjects: Sequence[Subject], seconds: float, clock: Callable[[], int]) -> None:
    """Time the subjects in turn, at least three times each; fast ones run several times a turn.

    ``clock`` counts nanoseconds.
    """
    schedule, probe = [(subject, _runs_in_a_round(subject)) for subject in subjects], _probe(subjects)
    end, rounds = time.monotonic() + seconds, 0
    while rounds < 3 or time.monotonic() < end:
        rounds += 1
        for subject, count in schedule:
            for _ in range(count):
                subject.times_ms.append(_once(subject.run, clock))
                if subject.bit_macs and probe is not None:
                    spun_ms = _once(lambda: probe.spin(_ADDITIONS), time.thread_time_ns)
                    subject.clocks_ghz.append(_ADDITIONS / 1e6 / spun_ms)
                if subject.ends is not None:
                    subject.ends_ms.append(_once(subject.ends, clock))


def keep_memory() -> None:
    """Let this process keep what it frees, where the C library is glibc.

    Otherwise each run of an engine that allocates its maps anew begins with pages that the system has to clear, or not,
    as whatever else was loaded has it: torch's compiler took 36 or 53 ms for one network.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MOST_MAPPED, 0)
        mallopt(_TRIM_FROM, 2**31 - 1)


def peak(kernels: str) -> float:
    """Pairs of bits that a kernel set compares in a clock cycle if nothing holds it up; 0 where it cannot be measured.

    From the fastest of several measurements and the highest clock rate next to them.
    """
    probe, clocks, rates = runtime.Probe(), [], []
    for _ in range(25):
        spun_ms = _once(lambda: probe.spin(_ADDITIONS), time.thread_time_ns)
        clocks.append(_ADDITIONS / spun_ms)
        start = time.thread_time_ns()
        bits = probe.count(kernels, _ROUNDS)
        rates.append(bits * 1e6 / (time.thread_time_ns() - start))
    return max(rates) / max(clocks)


def clock_ghz() -> float:
    """The rate of the clock of this core now."""
    probe = runtime.Probe()
    return _ADDITIONS / 1e6 / _once(lambda: probe.spin(_ADDITIONS), time.thread_time_ns)


def compare(first: Subject, other: Subject) -> None:
    """Note by how much a subject's result differs from the first one's, if they have the same size."""
    first_hw, other_hw = first.run(), other.run()
    if first_hw.shape == other_hw.shape:
        other.difference = float(np.abs(first_hw - other_hw).max())
        other.agreement = float(((first_hw > 0.5) == (other_hw > 0.5)).mean())


def _probe(subjects: Sequence[Subject]) -> runtime.Probe | None:
    return runtime.Probe() if any(subject.bit_macs for subject in subjects) else None


def _once(run: Callable[[], object], clock: Callable[[], int]) -> float:
    start = clock()
    run()
    return (clock() - start) / 1e6


def _runs_in_a_round(subject: Subject) -> int:
    """Runs of a turn, so that it takes about 20 ms; warms up the subject meanwhile."""
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        subject.run()
        best = min(best, time.perf_counter() - start)
        if subject.ends is not None:
            subject.ends()
    return max(1, min(20, int(0.02 / max(best, 1e-6))))
