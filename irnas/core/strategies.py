"""The search strategies as settings know them: one row each, and the module that makes it.

Settings refuse an unknown name long before anything is searched, and stand below the search; so the rows are here, and
``search.strategy.catalogue`` imports the module of a row only when it makes the strategy. A new strategy is its module
and its row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEntry:
    """A row of the table of strategies."""

    name: str
    """What a user types."""
    module: str
    """The file of ``irnas/search/strategy`` whose function ``build`` makes the strategy from a ``SearchProblem``."""
    about: str
    """What it does, in a few words, for help texts."""
    is_multi_fidelity: bool = False
    """Whether it pauses trainings and goes on with the better ones, so that its budget counts epochs."""
    inherits: bool = False
    """Whether it chooses whose weights a network starts from, and trains finished ones on: its budget counts epochs
    too."""
    is_simulated_only: bool = False
    """Whether only ``irnas simulate`` offers it: a variant to compare with, which nobody would search with."""


STRATEGY_ENTRIES = (
    StrategyEntry(name="tpe", module="optuna_sampler", about="tree-structured Parzen estimators"),
    StrategyEntry(name="nsga2", module="optuna_sampler", about="genetic search, NSGA-II"),
    StrategyEntry(name="nsga3", module="optuna_sampler", about="genetic search, NSGA-III"),
    StrategyEntry(name="gp", module="optuna_sampler", about="a Gaussian process"),
    StrategyEntry(name="random", module="optuna_sampler", about="even draws"),
    StrategyEntry(
        name="nsga2-20", module="optuna_sampler", about="NSGA-II with a population of 20", is_simulated_only=True
    ),
    StrategyEntry(name="asha", module="halving", about="halving by what was trained for alone", is_multi_fidelity=True),
    StrategyEntry(name="moasha", module="halving", about="halving by all objectives", is_multi_fidelity=True),
    StrategyEntry(
        name="freeze-thaw",
        module="freeze_thaw",
        about="halts at rungs, goes on where most hypervolume is expected",
        is_multi_fidelity=True,
    ),
    StrategyEntry(
        name="lamarckian",
        module="lamarckian",
        about="children of trained networks, and the front trained on",
        inherits=True,
    ),
)

LISTED = "listed"
"""In the place of a strategy's name: nothing is searched, the networks are given (``irnas train``). No search takes it,
and no module makes it."""

STRATEGIES = {entry.name: entry for entry in STRATEGY_ENTRIES if not entry.is_simulated_only}
"""What a search may use, by name."""
MULTI_FIDELITY = tuple(entry.name for entry in STRATEGIES.values() if entry.is_multi_fidelity)
"""Names of the strategies that pause trainings and go on with the better ones."""
INHERITING = tuple(entry.name for entry in STRATEGIES.values() if entry.inherits)
"""Names of the strategies that choose whose weights a network starts from."""


def describe_strategies() -> str:
    """The strategies of a search in a sentence or two, for a help text."""
    groups = []
    for names, what in (
        ([n for n in STRATEGIES if n not in (*MULTI_FIDELITY, *INHERITING)], "full trainings"),
        (MULTI_FIDELITY, "halt trainings and go on with the better ones"),
        (INHERITING, "short trainings from the weights of others"),
    ):
        entries = [STRATEGIES[name] for name in names]
        groups.append(f"{', '.join(f'{e.name} ({e.about})' for e in entries)}: {what}.")
    return " ".join(groups)
