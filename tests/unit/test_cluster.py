"""What crosses between driver and workers; tests/e2e/test_search.py runs the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
from support.results import result, tiny_space

from irnas.cluster import connection
from irnas.cluster.resources import Resources
from irnas.core.errors import StorageError
from irnas.core.result import Status
from irnas.core.settings import Budget, Recipe
from irnas.search import ray_executor, wire
from irnas.training.trial import Assignment, Report


def assignment() -> Assignment:
    return Assignment(
        trial=1,
        genotype=tiny_space().default(),
        costs={"ops": 1.5},
        seed=3,
        dataset="d",
        data_rev="r",
        code_rev="c",
        budget=Budget(epochs=2),
        recipe=Recipe(ema=0.5),
        preset="basicirstd",
        uri="run",
    )


def test_an_assignment_survives_the_journey() -> None:
    assert wire.unpack(wire.pack(assignment())) == assignment()


@pytest.mark.parametrize("found", [Report(epoch=2, values={"miou": 0.5}, seconds=1.0), result(3, {"miou": 0.25})])
def test_what_a_trial_says_survives_the_journey(found: Report) -> None:
    assert wire.unpack_found(wire.pack_found(found)) == found


def test_what_ends_a_search_arrives_as_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Assignment) -> object:
        raise StorageError("run: got a full disk; must have room")
        yield

    monkeypatch.setattr(ray_executor, "evaluate", full)
    worker = ray_executor._Worker.__new__(ray_executor._Worker)
    worker.setup({"payload": wire.pack(assignment())})
    with pytest.raises(StorageError, match=r"^run: got a full disk; must have room$"):
        wire.unpack_found(worker.step()["payload"])


def test_an_address_without_a_cluster_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(connection.SettingsError, match="must be a running cluster"):
        connection.connect(Resources(address="127.0.0.1:1"))


def test_what_a_machine_can_never_give_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.ray, "cluster_resources", lambda: {"CPU": 2.0, "memory": 8e9})
    connection._require_room(Resources(memory=8_000_000_000))
    for asked in (Resources(gpus=0.5), Resources(memory=9_000_000_000)):
        with pytest.raises(connection.SettingsError, match=r"for each trial; must be at most the .* of this machine"):
            connection._require_room(asked)


def test_a_training_that_ran_out_of_memory_is_not_a_failed_one_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "MemoryLimit: its process has 900 MB; must have at most 800 MB (train.py:3)"
    failed = assignment().result(Status.FAILED, {}, epochs=2, seconds=1.0, error=error)
    monkeypatch.setattr(ray_executor, "evaluate", lambda _: iter([failed]))
    worker = ray_executor._Worker.__new__(ray_executor._Worker)
    worker.setup({"payload": wire.pack(assignment())})
    found = wire.unpack_found(worker.step()["payload"])
    assert isinstance(found, wire.Exhausted) and found == error


def test_an_error_that_tune_does_not_expect_is_the_death_of_a_worker() -> None:
    told: list[object] = []
    tell = ray_executor._tolerant(lambda manager, task, error: told.append(error))
    expected = [RayActorError(), RayTaskError("f", "traceback", ValueError()), ValueError("a bug")]
    for error in [*expected, OutOfMemoryError("1 worker(s) were killed due to the node running low on memory.")]:
        tell(None, tracked_actor_task=None, exception=error)
    assert told[:3] == expected
    assert isinstance(told[3], RayActorError) and "running low on memory" in str(told[3])
    assert ray_executor.RayActorManager._actor_task_failed.__qualname__.startswith("_tolerant")


def test_a_busy_machine_has_more_than_one_try_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    failures = 2

    def init(**told: object) -> None:
        calls.append(told)
        if len(calls) <= failures:
            raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.setattr(connection.ray, "init", init)
    connection._start({"num_cpus": 2})
    assert len(calls) == 3 and calls[0] == calls[2]
    failures = 9
    with pytest.raises(connection.SettingsError, match="got no answer from its own processes in 3 tries"):
        connection._start({"num_cpus": 2})
