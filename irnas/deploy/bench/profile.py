"""Where the time of a network goes on the engine, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas import runtime
from irnas.core.errors import SettingsError
from irnas.deploy.bench.contest import Order, find_sources, window_of
from irnas.deploy.bench.subject import clock_ghz, peak
from irnas.runtime import format
from irnas.runtime.step import Step

_RUNS = 15
"""At least; a step's time is its least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """What one step of the engine takes for one image, and of what it is made."""

    step: Step
    op: str
    """The kind of op that it belongs to; empty for none."""
    cycles_per_pixel: float
    """Of the map that it makes."""
    share: float
    """Of the time of all steps."""
    share_of_peak: float | None
    """Of the bits that the kernel set could compare meanwhile; None where it compares none, or has no peak."""

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        step = self.step
        return {
            "step": step.name,
            "op": self.op,
            "channels": step.channels,
            "height": step.height,
            "width": step.width,
            "us": step.nanoseconds / 1e3,
            "share": self.share,
            "cycles_per_pixel": self.cycles_per_pixel,
            "share_of_peak": self.share_of_peak,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A network on one kernel set and one thread."""

    model: str
    kernels: str
    ms: float
    """The least time of a run in which nobody looks at the clock."""
    steps: Sequence[StepTime]

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        steps = [each.document() for each in self.steps]
        return {"model": self.model, "kernels": self.kernels, "ms_min": self.ms, "steps": steps}


def profile(names: Sequence[str], order: Order, seconds: float) -> list[Profile]:
    """Profile each network on each kernel set of the order.

    Args:
        names: as ``irnas bench`` takes them.
        order: its size and its kernel sets.
        seconds: to spend on all of them together, at least.

    Raises:
        SettingsError: a name that is none, or a network without a form in .xnor.
    """
    subjects = []
    for name in names:
        image_hw, sources = find_sources(name, order)
        model = sources[0].model
        if model is None:
            raise SettingsError(f"model {name}: got no form in .xnor; must have one to be profiled on the engine")
        subjects += [(name, model, kernels, image_hw) for kernels in order.kernels]
    return [_profile(*subject, seconds / len(subjects)) for subject in subjects]


def _profile(
    name: str, model: format.Model, kernels: str | None, image_hw: npt.NDArray[np.uint8], seconds: float
) -> Profile:
    loaded = runtime.Model(format.write(model), kernels=kernels)
    facts = loaded.facts
    extend = any(side % facts.multiple for side in image_hw.shape)
    steps = loaded.profile(image_hw, extend=extend)
    least = [step.nanoseconds for step in steps]
    nanoseconds_of_runs: list[int] = []
    clocks: list[float] = []
    end = time.monotonic() + seconds
    while len(nanoseconds_of_runs) < _RUNS or time.monotonic() < end:
        start = time.thread_time_ns()
        loaded.run(image_hw[None], extend=extend)
        nanoseconds_of_runs.append(time.thread_time_ns() - start)
        again = loaded.profile(image_hw, extend=extend)
        least = [min(before, now.nanoseconds) for before, now in zip(least, again, strict=True)]
        clocks.append(clock_ghz())
    highest = peak(facts.kernels)
    times = [
        _step_time(model, step, nanoseconds, max(clocks), sum(least), highest)
        for step, nanoseconds in zip(steps, least, strict=True)
    ]
    return Profile(model=name, kernels=facts.kernels, ms=min(nanoseconds_of_runs) / 1e6, steps=times)


def _step_time(model: format.Model, step: Step, nanoseconds: int, ghz: float, total: int, highest: float) -> StepTime:
    op = None if step.op is None else model.ops[step.op]
    cycles, pixels = nanoseconds * ghz, step.height * step.width
    share_of_peak = None
    if op is not None and step.name == "block" and highest:
        share_of_peak = window_of(op) * step.channels * pixels / max(cycles, 1) / highest
    return StepTime(
        step=replace(step, nanoseconds=nanoseconds),
        op="" if op is None else op.kind,
        cycles_per_pixel=cycles / pixels,
        share=nanoseconds / max(total, 1),
        share_of_peak=share_of_peak,
    )
