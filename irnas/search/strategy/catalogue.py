"""The strategies by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from irnas.core.errors import SettingsError
from irnas.core.objective import Objective
from irnas.core.settings import ASHA, ENDLESS, FREEZE_THAW, MULTI_FIDELITY, SAMPLERS, STRATEGIES, TotalBudget
from irnas.core.space import Genotype, Space
from irnas.search.strategy import Price, Strategy
from irnas.search.strategy.freeze_thaw import MAX_POOL, FreezeThaw
from irnas.search.strategy.halving import Halving
from irnas.search.strategy.optuna_sampler import Sampled

SMALL = "nsga2-20"
"""NSGA-II with a population of 20, for replays beside Optuna's own 50."""
UNCACHED = "-uncached"
"""Ends the name of a sampler whose repeats are paid for, as on a platform that trains what it is asked."""

_SAMPLERS = (*SAMPLERS, SMALL)
NAMES = (*_SAMPLERS, *(f"{s}{UNCACHED}" for s in _SAMPLERS), *MULTI_FIDELITY)
"""What a replay offers: ``settings.STRATEGIES``, and variants that nobody would search with."""


def make_strategy(
    name: str,
    space: Space,
    objectives: Sequence[Objective],
    price: Price,
    *,
    epochs: int,
    num_trials: int,
    seed: int,
    grace_period: int | None = None,
    limits: Mapping[str, float] | None = None,
    first: Sequence[tuple[str, Genotype]] = (),
    pool: int = MAX_POOL,
    total_budget: TotalBudget = ENDLESS,
) -> Strategy:
    """A strategy that searches ``space``, at full trainings of ``epochs``; ``-uncached`` is the replay's to bill.

    The other arguments are those of ``Sampled`` and of ``FreezeThaw``.

    Raises:
        SettingsError: an unknown name, or what the strategy refuses.
    """
    if name not in NAMES:
        raise SettingsError(f"strategy: got {name!r}; one of {', '.join(STRATEGIES)}")
    if name == FREEZE_THAW:
        return FreezeThaw(
            space,
            objectives,
            price,
            epochs=epochs,
            seed=seed,
            grace_period=grace_period,
            limits=limits,
            first=first,
            pool=pool,
            total_budget=total_budget,
        )
    sampler = "random" if name in MULTI_FIDELITY else name.removesuffix(UNCACHED)
    population = 20 if sampler == SMALL else None
    found = Sampled(
        space,
        objectives,
        price,
        sampler="nsga2" if sampler == SMALL else sampler,
        seed=seed,
        num_trials=num_trials,
        limits=limits,
        first=first,
        population=population,
    )
    if name not in MULTI_FIDELITY:
        return found
    ranked = [o for o in objectives if not o.is_free] if name == ASHA else objectives
    return Halving(found, ranked, epochs=epochs, grace_period=grace_period)
