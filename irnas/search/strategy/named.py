"""The strategies by their names, as a replay offers them."""

from __future__ import annotations

from collections.abc import Sequence

from irnas.errors import SettingsError
from irnas.objective import Objective
from irnas.search.strategy import Price, Strategy
from irnas.search.strategy.freeze import FreezeThaw
from irnas.search.strategy.halving import Halving
from irnas.search.strategy.sampled import Sampled
from irnas.settings import SAMPLERS
from irnas.space import Space

HALVING = "moasha"
FREEZE_THAW = "freeze-thaw"
UNCACHED = "-uncached"
"""Ends the name of a sampler whose repeats are paid for, as on a platform that trains what it is asked."""

NAMES = (*SAMPLERS, *(f"{s}{UNCACHED}" for s in SAMPLERS), HALVING, FREEZE_THAW)


def named(
    name: str, space: Space, objectives: Sequence[Objective], price: Price, *, epochs: int, num_trials: int, seed: int
) -> Strategy:
    """A strategy that searches ``space``, at full trainings of ``epochs``; ``-uncached`` is the replay's to bill.

    Raises:
        SettingsError: an unknown name.
    """
    if name not in NAMES:
        raise SettingsError(f"strategy: got {name!r}; one of {', '.join(NAMES)}")
    if name == FREEZE_THAW:
        return FreezeThaw(space, objectives, price, epochs=epochs, seed=seed)
    sampler = "random" if name == HALVING else name.removesuffix(UNCACHED)
    found = Sampled(space, objectives, price, sampler=sampler, seed=seed, num_trials=num_trials)
    return Halving(found, objectives, epochs=epochs) if name == HALVING else found
