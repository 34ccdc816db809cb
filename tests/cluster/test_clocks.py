"""Machines whose clocks are hours apart: nothing in a record goes by the clock of a machine that trains."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import network
from support.command import environment, events
from support.sabotage import Sabotage

from irnas.record.run import Run
from irnas.tracking.entries import entries

pytestmark = pytest.mark.cluster


def test_clocks_that_are_hours_apart_change_nothing(data: Path, expected: dict[str, object], tmp_path: Path) -> None:
    """Of Python, that is: a node's Ray, and the trainings on it, see another time than the head does."""
    run, folder = tmp_path / "run", Sabotage(tmp_path / "path").folder
    path = f"{folder}{os.pathsep}{environment(tmp_path)['PYTHONPATH']}"
    with network(tmp_path) as on:
        on.start_head()
        on.start_worker("a", PYTHONPATH=path, TEST_CLOCK_IS_OFF_S="-10800")
        on.start_worker("b", PYTHONPATH=path, TEST_CLOCK_IS_OFF_S="7200")
        on.wait_for("a", "b")
        search = on.head.start(tmp_path, *words(data, run, TRIALS, EPOCHS, "--address", on.address))
        until(lambda: len(events(run, "reported")) >= 6 or search.poll() is not None, "reports of trials")
        victim, _ = on.training()
        victim.kill()
        assert search.wait(600) == 0, (tmp_path / "out.txt").read_text()
    history = Run.read(str(run))
    times = [event.t for event in history.events]
    assert times == sorted(times) and times[-1] - times[0] < 3600
    assert outcome(run) == expected and account(run).is_whole
    parent, children = entries(history)
    for entry in children.values():
        assert parent.start_ms <= entry.start_ms and entry.end_ms is not None and entry.end_ms <= (parent.end_ms or 0)
    assert all(0 < e["result"]["seconds"] < 3600 for e in events(run, "finished"))
