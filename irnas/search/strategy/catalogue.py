"""Makes strategies by name. Their table is ``core.strategies``."""

from __future__ import annotations

import importlib

from irnas.core.errors import SettingsError
from irnas.core.strategies import INHERITING, MULTI_FIDELITY, STRATEGIES, STRATEGY_ENTRIES
from irnas.search.strategy import SearchProblem, Strategy

UNCACHED = "-uncached"
"""Ends the name of a strategy whose repeats are paid for, as on a platform that trains what it is asked."""

_FULL = tuple(entry.name for entry in STRATEGY_ENTRIES if not (entry.is_multi_fidelity or entry.inherits))
NAMES = (*_FULL, *(f"{name}{UNCACHED}" for name in _FULL), *MULTI_FIDELITY, *INHERITING)
"""What ``irnas simulate`` offers: the strategies of a search, and variants that nobody would search with."""


def make_strategy(name: str, problem: SearchProblem) -> Strategy:
    """Make the strategy ``name``, one of ``NAMES``. Of ``-uncached`` the simulator bills the repeats.

    Raises:
        SettingsError: the name is unknown, or the strategy cannot search this problem.
    """
    if name not in NAMES:
        raise SettingsError(f"strategy: got {name!r}; one of {', '.join(STRATEGIES)}")
    plain_name = name.removesuffix(UNCACHED)
    (entry,) = (entry for entry in STRATEGY_ENTRIES if entry.name == plain_name)
    module = importlib.import_module(f"irnas.search.strategy.{entry.module}")
    strategy: Strategy = module.build(plain_name, problem)
    return strategy
