from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from support.datasets import tiny

from irnas.core.errors import SettingsError
from irnas.core.recipe import Budget
from irnas.core.settings import SearchSettings
from irnas.record.ledger import Ledger
from irnas.simulation import table
from irnas.workflows import execution
from irnas.workflows.executor import Executor
from irnas.workflows.tabulate import tabulate

LOOP = Executor(kind="loop")


@pytest.fixture(autouse=True)
def _without_mirror_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)


def go(output: Path, *, seeds: int = 2, trials: int = 2, epochs: int = 1) -> table.Table:
    settings = SearchSettings(
        space="biisnet",
        dataset=str(tiny().root),
        trials=trials,
        budget=Budget(epochs=epochs, batch=4, crop=32),
        axes={"base": (4, 6), "stages": (2,)},
        cost_input=(1, 64, 64),
    )
    listener = execution.Listener(watch=lambda _: None, warn=pytest.fail, progress=lambda *_: None)
    return tabulate(settings, str(output), seeds, LOOP, listener)


def opened(output: Path, seed: int) -> list[Any]:
    return [e.KIND for e in Ledger(f"{output}.runs/seed-{seed}").events()]


def test_the_same_command_trains_every_seed_and_grows_the_table(tmp_path: Path) -> None:
    output = tmp_path / "t.parquet"
    first = go(output)
    assert [list(p.curves) for p in first.points] == [[0, 1]] * 2
    assert table.read(str(output)) == first
    values = [[c[-1].values for c in p.curves.values()] for p in first.points]
    assert any(one != two for one, two in values), "two seeds, two trainings"

    before = opened(output, 0)
    more = go(output, trials=3)
    assert opened(output, 0)[: len(before)] == before and opened(output, 0).count("finished") == 3
    assert {p.key for p in first.points} < {p.key for p in more.points} and len(more.points) == 3
    kept = {p.key: p for p in more.points}
    assert all(kept[p.key].curves[0][-1].values == p.curves[0][-1].values for p in first.points)


def test_runs_of_other_settings_are_refused(tmp_path: Path) -> None:
    go(tmp_path / "t.parquet", seeds=1, trials=1)
    with pytest.raises(SettingsError, match=r"seed-0: got other settings than it began with \(budget\); must be the"):
        go(tmp_path / "t.parquet", seeds=1, trials=1, epochs=2)
    with pytest.raises(SettingsError, match=r"^seeds: got 0; must be at least 1"):
        go(tmp_path / "t.parquet", seeds=0)
