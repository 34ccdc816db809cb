from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.strategies import strategy
from support.tables import made_table

from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.result import Result, Status
from irnas.core.settings import Budget, SearchSettings, TotalBudget, trial_seed
from irnas.search.session import MAX_FAILED_IN_A_ROW, Place, Session
from irnas.search.strategy import History, Proposal
from irnas.search.strategy.freeze_thaw import FreezeThaw
from irnas.simulation.simulator import Arena
from irnas.training.trial import Assignment, Report


class Run:
    """A session with its events in a list."""

    def __init__(self, folder: Path, *, trials: int = 6, **changes: Any) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.settings = SearchSettings(space="tiny", trials=trials, seed=5, limits=changes.get("limits", {}))
        place = Place(uri=str(folder), dataset="d", data_rev="rev", code_rev="code")
        self.session = Session(
            strategy(**changes), self.settings, place, lambda kind, fields: self.events.append((kind, dict(fields)))
        )

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [fields for k, fields in self.events if k == kind]


def done(assignment: Assignment, miou: float = 0.5) -> Result:
    return assignment.result(Status.OK, {"miou": miou}, epochs=1, seconds=1.0)


def failed(assignment: Assignment, error: str = "E: broken") -> Result:
    return assignment.result(Status.FAILED, {}, epochs=0, seconds=1.0, error=error)


def test_it_hands_out_exactly_the_planned_trials(tmp_path: Path) -> None:
    run = Run(tmp_path)
    while assignment := run.session.next():
        assert assignment.seed == trial_seed(5, assignment.genotype.key)
        run.session.finish(done(assignment))
    assert run.session.num_trained == len(run.kinds("finished")) == len(run.kinds("proposed")) == 6
    assert run.session.stop_reason == "all trials are handed out"


def test_seeds_follow_the_run_and_the_network_not_the_order() -> None:
    assert trial_seed(5, "a") == trial_seed(5, "a")
    assert len({trial_seed(run, key) for run in range(3) for key in "abc"}) == 9


def test_running_trials_count_against_the_plan(tmp_path: Path) -> None:
    run = Run(tmp_path, trials=3)
    handed = [run.session.next() for _ in range(5)]
    assert [a is None for a in handed] == [False, False, False, True, True]


def test_a_finished_trial_is_finished_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assignment = run.session.next()
    assert assignment
    run.session.finish(done(assignment, 0.5))
    run.session.finish(done(assignment, 0.9))
    assert [e["result"]["values"]["miou"] for e in run.kinds("finished")] == [0.5]


def test_the_checkpoint_goes_when_the_result_is_recorded(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assignment = run.session.next()
    assert assignment
    checkpoint = Path(assignment.checkpoint)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"state")
    run.session.report(assignment.trial, Report(epoch=1, values={"miou": 0.1, "loss": 1.0}, seconds=1.0))
    assert checkpoint.exists()
    run.session.finish(done(assignment))
    assert not checkpoint.exists()


def test_restoring_loses_and_repeats_nothing(tmp_path: Path) -> None:
    first = Run(tmp_path, trials=8)
    handed = [a for _ in range(5) if (a := first.session.next())]
    for assignment in handed[:3]:
        first.session.finish(done(assignment))
    proposals = [Proposal.from_document(e) for e in first.kinds("proposed")]
    results = [Result.from_document(e["result"]) for e in first.kinds("finished")]

    second = Run(tmp_path, trials=8)
    second.session.restore(History(proposals=proposals, results=results))
    again = []
    while assignment := second.session.next():
        again.append(assignment)
        second.session.finish(done(assignment))
    assert [a.trial for a in again] == [3, 4, 5, 6, 7]
    assert {a.genotype.key for a in again[:2]} == {a.genotype.key for a in handed[3:]}
    keys = [r.key for r in second.session.results]
    assert len(keys) == len(set(keys)) == 8


def test_failures_in_a_row_stop_the_search_and_name_the_cause(tmp_path: Path) -> None:
    run = Run(tmp_path, trials=20)
    for number in range(MAX_FAILED_IN_A_ROW):
        assignment = run.session.next()
        assert assignment
        run.session.finish(failed(assignment, "E: rare" if number == 0 else "E: common"))
    assert run.session.next() is None
    assert run.session.stop_reason == "5 of 5 trials failed, 4 with: E: common"


def test_scattered_failures_stop_it_above_a_share(tmp_path: Path) -> None:
    run = Run(tmp_path, trials=20)
    handed = 0
    while assignment := run.session.next():
        handed += 1
        run.session.finish(failed(assignment) if handed % 3 == 0 else done(assignment))
    assert handed == 15 and "5 of 15 trials failed" in run.session.stop_reason


def test_few_failures_do_not(tmp_path: Path) -> None:
    run = Run(tmp_path, trials=20)
    handed = 0
    while assignment := run.session.next():
        handed += 1
        run.session.finish(failed(assignment) if handed in (2, 9, 15) else done(assignment))
    assert handed == 20


def test_a_limit_rejects_without_training(tmp_path: Path) -> None:
    run = Run(tmp_path, trials=50, limits={"ops": 2.0e7})
    while assignment := run.session.next():
        assert assignment.costs["ops"] <= 2.0e7
        run.session.finish(done(assignment))
    statuses = [r.status for r in run.session.results]
    assert statuses.count(Status.REJECTED) > 0 and statuses.count(Status.OK) == run.session.num_trained
    assert run.session.stop_reason == "the space has no further point"


def test_an_impossible_limit_is_an_error_that_names_the_least(tmp_path: Path) -> None:
    run = Run(tmp_path, limits={"ops": 1.0})
    with pytest.raises(SettingsError, match="must admit some network: the smallest of 24 has 8e\\+06"):
        run.session.next()


def test_a_lost_worker_is_recorded_and_may_end_in_failure(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assignment = run.session.next()
    assert assignment
    run.session.retry(assignment.trial, "its worker died")
    run.session.fail(assignment.trial, "its worker died 3 times")
    assert [e["error"] for e in run.kinds("retried")] == ["its worker died"]
    assert run.session.results[0].status is Status.FAILED


def test_a_rest_that_ends_no_training_ends_the_search(tmp_path: Path) -> None:
    where = Arena(table=made_table(30, epochs=9), objectives=parse("miou,ops"))
    settings = SearchSettings(
        space="made", strategy="freeze-thaw", budget_limit=TotalBudget(epochs=25), budget=Budget(epochs=9)
    )
    asker = FreezeThaw(where.space, where.objectives, where.price, epochs=9, total_budget=settings.total_budget)
    place = Place(uri=str(tmp_path), dataset="d", data_rev="rev", code_rev="code")
    session = Session(asker, settings, place, lambda kind, fields: None)
    reached: dict[int, int] = {}
    while assignment := session.next():
        curve = where.seen(assignment.genotype.key)
        for step in curve[reached.get(assignment.trial, 0) :]:
            reached[assignment.trial] = step.epoch
            values = {name: step.values[name] for name in ("miou",)}
            if session.report(assignment.trial, Report(epoch=step.epoch, values=values, seconds=step.seconds)):
                break
        else:
            session.finish(assignment.result(Status.OK, values, epochs=9, seconds=curve[-1].seconds))
    assert session.stop_reason == "what is left of the budget ends no training"
    assert 18 <= sum(reached.values()) < 25 and session.num_trained == 2
