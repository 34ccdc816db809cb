"""Three machines, one search, and one of them loses its power: the shortest test of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import Cluster
from support.command import events

pytestmark = pytest.mark.cluster


def test_three_machines_minus_one_find_what_one_process_finds(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    search = cluster.head.start(tmp_path, *words(data, run, TRIALS, EPOCHS, "--address", cluster.address))
    until(lambda: len(events(run, "reported")) >= 6 or search.poll() is not None, "reports of trials")
    victim, _ = cluster.training()
    victim.kill()
    assert search.wait(600) == 0, (tmp_path / "out.txt").read_text()
    assert outcome(run) == expected
    found = account(run)
    assert (found.finished, found.is_whole) == (TRIALS, True) and found.retried >= 1
