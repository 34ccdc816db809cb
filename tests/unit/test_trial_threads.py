"""A trial trains in the threads that the search gives it, whatever the process and its environment would take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.datasets import tiny

from irnas import cost
from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.recipe import Budget, Recipe
from irnas.core.settings import SearchSettings
from irnas.search import wire
from irnas.training.trial import Assignment, Report, evaluate
from irnas.workflows.executor import Executor


def assignment(folder: Path, threads: int) -> Assignment:
    genotype = catalog.find_point("biisnet", "base=4,stages=2,n_bot=0")
    return Assignment(
        trial=3,
        genotype=genotype,
        costs=cost.price(genotype, (1, 64, 64)),
        seed=11,
        dataset=str(tiny().root),
        data_rev=tiny().revision,
        code_rev="c",
        budget=Budget(epochs=2, batch=4, crop=32),
        recipe=Recipe(),
        preset="basicirstd",
        uri=str(folder),
        threads=threads,
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_a_trial_has_its_own_threads_and_leaves_the_process_its_own(tmp_path: Path, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        outcomes = evaluate(assignment(tmp_path, threads))
        assert isinstance(next(outcomes), Report) and torch.get_num_threads() == threads
        # A trial that is paused is not iterated any further.
        outcomes.close()
        assert torch.get_num_threads() == 3
        list(evaluate(assignment(tmp_path, threads)))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_threads_of_a_search_are_recorded_and_travel(tmp_path: Path) -> None:
    settings = SearchSettings(space="biisnet", threads=2)
    document = settings.document()
    assert document["threads"] == 2 and SearchSettings.from_document(document) == settings
    # Records from before the setting go on with one, as Ray had it.
    del document["threads"]
    assert SearchSettings.from_document(document).threads == SearchSettings(space="biisnet").threads == 1
    assert wire.decode(wire.encode(assignment(tmp_path, 2))).threads == 2


def test_a_trial_takes_as_many_cores_as_it_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    resources = Executor().for_settings(SearchSettings(space="biisnet", threads=3)).resources
    assert (resources.threads, resources.at_once) == (3, 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert resources.at_once == 1


def test_no_threads_are_too_few() -> None:
    with pytest.raises(SettingsError, match=r"^threads: got 0; must be at least 1"):
        SearchSettings(space="biisnet", threads=0)
