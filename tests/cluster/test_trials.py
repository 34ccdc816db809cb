"""Trainings that go wrong by themselves: the search says why, goes on, and no other training suffers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, words
from support.cluster import Cluster, cluster
from support.command import events
from support.command import run as command
from support.sabotage import Sabotage

pytestmark = pytest.mark.cluster

VICTIM = 1


@pytest.fixture(scope="module")
def sabotage(tmp_path_factory: pytest.TempPathFactory) -> Sabotage:
    return Sabotage(tmp_path_factory.mktemp("sabotage") / "path")


@pytest.fixture(scope="module")
def harmed(sabotage: Sabotage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose trainings obey ``sabotage``."""
    with cluster(tmp_path_factory.mktemp("harmed"), "a", "b", first_on_path=sabotage.folder) as found:
        yield found


def search(on: Cluster, data: Path, folder: Path, *more: str) -> Path:
    process = on.head.start(folder, *words(data, folder / "run", TRIALS, EPOCHS, "--address", on.address, *more))
    assert process.wait(600) == 0, (folder / "out.txt").read_text()
    return folder / "run"


def seed_of(expected: dict[str, Any], trial: int) -> int:
    return int(next(r["seed"] for r in expected.values() if r["trial"] == trial))


def split(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the victim came to, and what all others did."""
    found = outcome(run)
    victims = [key for key, r in found.items() if r["trial"] == VICTIM]
    return dict(found.pop(victims[0])), dict(found)


def others(expected: dict[str, Any]) -> dict[str, Any]:
    return {key: r for key, r in expected.items() if r["trial"] != VICTIM}


def test_a_loss_that_is_nan_ends_its_training_alone(
    harmed: Cluster, sabotage: Sabotage, data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    sabotage.order("nan", seed_of(expected, VICTIM), from_epoch=3)
    run = search(harmed, data, tmp_path)
    victim, rest = split(run)
    assert victim["status"] == "failed"
    assert victim["error"].startswith("TrainingError: epoch 3, step 1: got loss nan; must be finite")
    assert rest == others(expected)
    found = account(run)
    assert (found.finished, found.failed, found.lost, found.repeated, found.retried) == (TRIALS, 1, 0, 0, 0), found


def test_a_training_that_leaks_goes_on_in_new_processes(
    harmed: Cluster, sabotage: Sabotage, data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    sabotage.order("leak", seed_of(expected, VICTIM))
    run = search(harmed, data, tmp_path, "--memory", "1.5G")
    assert outcome(run) == expected
    found = account(run)
    assert found.is_whole and found.retried >= 1, found
    assert all("must have at most 1500 MB" in e["error"] for e in events(run, "retried"))


def test_a_training_that_takes_too_much_memory_fails_alone(
    harmed: Cluster, sabotage: Sabotage, data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    sabotage.order("flood", seed_of(expected, VICTIM), from_epoch=3)
    run = search(harmed, data, tmp_path, "--memory", "1.5G")
    victim, rest = split(run)
    assert victim["status"] == "failed" and "\n" not in victim["error"]
    assert "MB; must have at most 1500 MB" in victim["error"]
    assert victim["error"].endswith("3 times without an epoch in between")
    assert rest == others(expected)
    found = account(run)
    assert (found.finished, found.failed, found.lost, found.repeated, found.retried) == (TRIALS, 1, 0, 0, 2), found


def test_the_training_that_took_all_memory_is_the_one_that_fails(
    sabotage: Sabotage, data: Path, expected: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --memory it is Ray that kills, in a way that Tune does not expect and would end the search at."""
    kib = dict(re.findall(r"(\w+): +(\d+) kB", Path("/proc/meminfo").read_text()))
    total, free = int(kib["MemTotal"]), int(kib["MemAvailable"])
    if free < 6e6:
        pytest.skip(f"needs 6 GB of free memory, and there are {free / 1e6:.1f}")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{(total - free + 3.5e6) / total:.3f}")
    monkeypatch.syspath_prepend(sabotage.folder)
    sabotage.order("flood", seed_of(expected, VICTIM), from_epoch=3)
    command(tmp_path, *words(data, tmp_path / "run", TRIALS, EPOCHS, "--workers", "1"), timeout_s=600)
    victim, rest = split(tmp_path / "run")
    assert victim["status"] == "failed"
    assert victim["error"] == (
        "its node was nearly out of memory, and Ray killed its worker, 3 times without an epoch in between"
    )
    assert rest == others(expected)
    found = account(tmp_path / "run")
    assert (found.finished, found.failed, found.lost, found.repeated) == (TRIALS, 1, 0, 0), found
