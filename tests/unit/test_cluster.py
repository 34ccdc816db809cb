"""What crosses between driver and workers; tests/e2e/test_search.py runs the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.results import result, tiny_space

from irnas.errors import StorageError
from irnas.search import cluster
from irnas.settings import Budget, Recipe
from irnas.trial import Assignment, Report


def assignment() -> Assignment:
    return Assignment(
        trial=1, genotype=tiny_space().default(), costs={"ops": 1.5}, seed=3, dataset="d", data_rev="r", code_rev="c",
        budget=Budget(epochs=2), recipe=Recipe(ema=0.5), preset="basicirstd", uri="run",
    )  # fmt: skip


def test_an_assignment_survives_the_journey() -> None:
    assert cluster._unpack(cluster._pack(assignment())) == assignment()


@pytest.mark.parametrize("found", [Report(epoch=2, values={"miou": 0.5}, seconds=1.0), result(3, {"miou": 0.25})])
def test_what_a_trial_says_survives_the_journey(found: Report) -> None:
    assert cluster._unpack_found(cluster._pack_found(found)) == found


def test_what_ends_a_search_arrives_as_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Assignment) -> object:
        raise StorageError("run: got a full disk; must have room")
        yield

    monkeypatch.setattr(cluster, "evaluate", full)
    worker = cluster._Worker.__new__(cluster._Worker)
    worker.setup({"payload": cluster._pack(assignment())})
    with pytest.raises(StorageError, match=r"^run: got a full disk; must have room$"):
        cluster._unpack_found(worker.step()["payload"])


def test_an_address_without_a_cluster_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(cluster.SettingsError, match="must be a running cluster"):
        cluster.connect(cluster.Resources(address="127.0.0.1:1"))
