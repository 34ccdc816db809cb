"""What crosses between driver and workers; tests/e2e/test_search.py runs the real thing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.results import result, tiny_space

from irnas.cluster import connection
from irnas.cluster.resources import Resources
from irnas.core.errors import ServiceError, SettingsError, StorageError
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Status
from irnas.search import ray_executor, wire
from irnas.search.packing import Packing
from irnas.search.retries import TrialSupervisor
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
    assert wire.decode(wire.encode(assignment())) == assignment()


@pytest.mark.parametrize("outcome", [Report(epoch=2, values={"miou": 0.5}, seconds=1.0), result(3, {"miou": 0.25})])
def test_what_a_trial_says_survives_the_journey(outcome: Report) -> None:
    assert wire.decode_outcome(wire.encode_outcome(outcome)) == outcome


def test_what_ends_a_search_arrives_as_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise StorageError("run: got a full disk; must have room")
        yield

    monkeypatch.setattr(ray_executor, "evaluate", full)
    worker = ray_executor._Worker.__new__(ray_executor._Worker)
    worker.setup({"payload": wire.encode(assignment())})
    with pytest.raises(StorageError, match=r"^run: got a full disk; must have room$"):
        wire.decode_outcome(worker.step()["payload"])


def test_an_address_without_a_cluster_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="must be a running cluster"):
        connection.connect(Resources(address="127.0.0.1:1"))


def test_what_a_machine_can_never_give_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.ray, "cluster_resources", lambda: {"CPU": 2.0, "memory": 8e9})
    connection._require_room(Resources(memory=8_000_000_000))
    for asked in (Resources(gpus=0.5), Resources(memory=9_000_000_000)):
        with pytest.raises(SettingsError, match=r"for each trial; must be at most the .* of this machine"):
            connection._require_room(asked)


def test_a_training_that_ran_out_of_memory_is_not_a_failed_one_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "MemoryLimit: its process has 900 MB; must have at most 800 MB (train.py:3)"
    failed = assignment().result(Status.FAILED, {}, epochs=2, seconds=1.0, error=error)
    monkeypatch.setattr(ray_executor, "evaluate", lambda *_, **__: iter([failed]))
    worker = ray_executor._Worker.__new__(ray_executor._Worker)
    worker.setup({"payload": wire.encode(assignment())})
    outcome = wire.decode_outcome(worker.step()["payload"])
    assert isinstance(outcome, wire.OutOfMemory) and outcome == error


def test_a_busy_machine_has_more_than_one_try_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    failures = 2

    def init(**options: object) -> None:
        calls.append(options)
        if len(calls) <= failures:
            raise Exception("The current node timed out during startup. This could happen because")

    # Put back after the test: what is started asks for a token.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(connection.ray, "init", init)
    connection._start({"num_cpus": 2})
    assert len(calls) == 3 and calls[0] == calls[2]
    assert os.environ["RAY_AUTH_MODE"] == "token" and calls[0]["address"] == "local"
    failures = 9
    with pytest.raises(ServiceError, match="got no answer from its own processes in 3 tries"):
        connection._start({"num_cpus": 2})


@pytest.mark.parametrize("memory", [None, 8_000_000_000])
def test_a_worker_is_told_its_limit_of_memory(memory: int | None) -> None:
    class OneTrial:
        stop_reason = ""

        def next(self) -> Assignment:
            return assignment()

    searcher = ray_executor.SessionSearcher(TrialSupervisor(OneTrial()), memory, Packing(0.0))  # type: ignore[arg-type]
    suggestion = searcher.suggest("a")
    assert isinstance(suggestion, dict) and suggestion["memory"] == memory
    assert wire.decode(suggestion["payload"]) == assignment()


def test_ray_s_sockets_find_room_where_the_temporary_folder_has_a_long_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert connection._short_temp_dir() == {}
    monkeypatch.setenv("TMPDIR", "/tmp/" + 50 * "x")
    assert connection._short_temp_dir() == {"_temp_dir": "/tmp/ray"}
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SettingsError, match=r"^TMPDIR: got .* of 55 bytes; must be at most 38"):
        connection._short_temp_dir()
