"""The table of strategies: what settings, the catalogue and the help text read of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.tables import made_table

from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.settings import SearchSettings
from irnas.core.strategies import STRATEGIES, STRATEGY_ENTRIES, describe_strategies
from irnas.search import strategy as room
from irnas.search.strategy.catalogue import NAMES, make_strategy
from irnas.simulation.simulator import Arena

ARENA = Arena(table=made_table(8, epochs=3), objectives=parse("miou,ops"))


def test_no_name_stands_in_two_rows() -> None:
    assert len({entry.name for entry in STRATEGY_ENTRIES}) == len(STRATEGY_ENTRIES)


@pytest.mark.parametrize("entry", STRATEGY_ENTRIES, ids=lambda entry: entry.name)
def test_a_row_names_a_module_that_makes_its_strategy(entry: object) -> None:
    name, module = entry.name, entry.module  # type: ignore[attr-defined]
    assert (Path(str(room.__file__)).parent / f"{module}.py").exists()
    proposal = make_strategy(name, ARENA.problem(0)).ask()
    assert proposal and proposal.genotype in ARENA.space.listed


def test_a_search_takes_no_strategy_that_is_only_simulated() -> None:
    assert "nsga2-20" in NAMES and "nsga2-20-uncached" in NAMES and "nsga2-20" not in STRATEGIES
    with pytest.raises(SettingsError, match="strategy: got 'nsga2-20'; one of tpe, nsga2"):
        SearchSettings(space="tiny", strategy="nsga2-20")


def test_only_full_trainings_have_an_uncached_variant() -> None:
    assert "random-uncached" in NAMES and "freeze-thaw-uncached" not in NAMES
    with pytest.raises(SettingsError, match="strategy: got 'freeze-thaw-uncached'; one of tpe"):
        make_strategy("freeze-thaw-uncached", ARENA.problem(0))


def test_settings_count_epochs_where_the_row_says_it_pauses_or_inherits() -> None:
    for name, entry in STRATEGIES.items():
        settings = SearchSettings(space="tiny", strategy=name, trials=4)
        counts_epochs = entry.is_multi_fidelity or entry.inherits
        assert settings.is_multi_fidelity is counts_epochs
        assert (settings.total_budget.epochs == 4 * settings.budget.epochs) is counts_epochs


def test_the_help_text_names_every_strategy() -> None:
    text = describe_strategies()
    assert all(f"{name} ({entry.about})" in text for name, entry in STRATEGIES.items())
    assert "nsga2-20" not in text
