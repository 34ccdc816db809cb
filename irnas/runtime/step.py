"""What a profile of the engine consists of."""

from __future__ import annotations

from dataclasses import dataclass

from irnas.runtime.library import StepOfLibrary


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of a model on images of one size: an op, several that run as one, or a part of one."""

    name: str
    op: int | None
    """Which op of the file it belongs to, from 0; None for none."""
    channels: int
    height: int
    width: int
    """Channels, height and width of the map that it makes."""
    nanoseconds: int
    """For one image."""


def step_of(step: StepOfLibrary) -> Step:
    """A step as the library tells it."""
    return Step(
        name=step.name.decode(),
        op=None if step.op < 0 else step.op,
        channels=step.channels,
        height=step.height,
        width=step.width,
        nanoseconds=step.nanoseconds,
    )
