"""Given networks, each with several seeds, handed out side by side: what is recorded, and what is left after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.opened import opened
from support.tables import made_table

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, trial_seed
from irnas.core.strategies import LISTED
from irnas.record.events import Event, Finished, Proposed, Repeated, Reported, Retried
from irnas.record.run import Run
from irnas.record.trainings import trainings_of
from irnas.search.assign import Place
from irnas.search.retries import MAX_RETRIES, TrialSupervisor
from irnas.search.strategy.catalogue import make_strategy
from irnas.search.trainings import Trainings
from irnas.simulation.simulator import Arena
from irnas.training.trial import Assignment, Report

NETWORKS = [
    Proposal(trial=trial, genotype=catalog.find_point("biisnet", f"base={base}"), costs={"ops": 1e6}, origin="given")
    for trial, base in enumerate((4, 6))
]
SETTINGS = SearchSettings(space="biisnet", strategy=LISTED, trials=2, seeds=2, fit_on="train", is_validation_seen=True)


class Stage:
    """Trainings with their events in a list."""

    def __init__(self, folder: Path, before: Sequence[Event] = (), settings: SearchSettings = SETTINGS) -> None:
        place = Place(uri=str(folder), dataset="d", data_rev="rev", code_rev="code")
        self.run = Run.of(str(folder), [opened(settings), *before])
        self.events: list[Event] = []
        self.trainings = Trainings(self.run, place, self.events.append, NETWORKS)

    def hand_out(self, number: int) -> list[Assignment]:
        assignments = [self.trainings.next() for _ in range(number)]
        assert None not in assignments
        return [a for a in assignments if a is not None]

    def end(self, assignment: Assignment, miou: float = 0.5) -> None:
        self.trainings.finish(done(assignment, miou), assignment.replicate)


def done(assignment: Assignment, miou: float = 0.5) -> Result:
    return assignment.result(Status.OK, {"miou": miou}, epochs=10, seconds=1.0)


def failed(assignment: Assignment) -> Result:
    return assignment.result(Status.FAILED, {}, epochs=0, seconds=1.0, error="E: broken")


def report(epoch: int = 1) -> Report:
    return Report(epoch=epoch, values={"miou": 0.1, "loss": 1.0}, seconds=3.0)


def test_every_network_has_every_seed_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assignments = stage.hand_out(4)
    assert [(a.trial, a.replicate) for a in assignments] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert [a.seed for a in assignments] == [
        trial_seed(r, NETWORKS[t].key) for r, t in [(0, 0), (0, 1), (1, 0), (1, 1)]
    ]
    assert len({a.checkpoint for a in assignments}) == 4
    assert {(a.fit_on, a.validate_on, a.keep) for a in assignments} == {("train", "val", "last")}
    assert stage.trainings.next() is None and stage.trainings.stop_reason


def test_each_network_is_proposed_once(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    second = Stage(tmp_path, first.events[:1])
    assert [e.proposal.trial for e in first.events if isinstance(e, Proposed)] == [0, 1]
    assert [e.proposal.trial for e in second.events if isinstance(e, Proposed)] == [1]


def test_further_seeds_become_replicates(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    first, _, again, _ = stage.hand_out(4)
    stage.trainings.report(0, report(), replicate=1)
    # A further seed may well be the first to end.
    stage.end(again, 0.7)
    stage.end(first, 0.5)
    trial = stage.run.trials[0]
    assert isinstance(stage.events[-2], Repeated) and stage.events[-2].replicate == 1
    assert isinstance(stage.events[-1], Finished) and trial.statistics["miou"].mean == pytest.approx(0.6)
    assert [r.epoch for r in trial.reports_of(1)] == [1] and trial.reports_of(0) == []
    assert "ops" not in trial.statistics


def test_what_has_ended_is_not_trained_again(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    one, _, three, _ = first.hand_out(4)
    first.end(one)
    first.end(three)
    second = Stage(tmp_path, first.events)
    assert [(a.trial, a.replicate) for a in second.hand_out(2)] == [(1, 0), (1, 1)]
    assert second.trainings.next() is None and "all 4 trainings" in second.trainings.stop_reason


def test_an_interrupted_training_knows_its_time(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    first.hand_out(4)
    first.trainings.report(1, report(5), replicate=1)
    assignments = Stage(tmp_path, first.events).hand_out(4)
    assert [a.spent for a in assignments] == [0.0, 0.0, 0.0, 3.0]


def test_a_failure_does_not_touch_the_others(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    one, two, three, four = stage.hand_out(4)
    stage.trainings.finish(failed(two), 0)
    stage.trainings.finish(failed(three), 1)
    for assignment in (one, four):
        stage.end(assignment)
    assert stage.trainings.next() is None and stage.trainings.gave_up
    key = NETWORKS[0].key
    assert stage.trainings.stop_reason.startswith("2 of 4 trainings failed: ")
    assert f"{key}, training 2: E: broken" in stage.trainings.stop_reason
    assert [t.state for t in trainings_of(stage.run)] == ["ok", "waiting", "failed", "ok"]
    assert stage.run.trials[1].statistics == {}
    # A further seed that failed is tried again by --resume.
    assert [(a.trial, a.replicate) for a in Stage(tmp_path, stage.events).hand_out(1)] == [(0, 1)]


def test_a_failure_after_the_last_is_handed_out_counts(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    last = stage.hand_out(4)[-1]
    assert stage.trainings.next() is None
    stage.trainings.finish(failed(last), 1)
    assert "1 of 4 trainings failed" in stage.trainings.stop_reason


def test_a_training_whose_workers_die_stays_open(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    supervisor = TrialSupervisor(stage.trainings)
    for name in ("a", "b", "c"):
        supervisor.next_assignment(name)
    for _ in range(MAX_RETRIES):
        supervisor.on_worker_lost("c")
        supervisor.next_assignment("c")
    # Another seed of the network has deaths of its own.
    supervisor.on_worker_lost("a")
    supervisor.next_assignment("a")
    supervisor.on_worker_lost("c")
    retried = [e.error for e in stage.events if isinstance(e, Retried)]
    assert len(retried) == MAX_RETRIES + 1 and retried[0].startswith("training 2: its worker died")
    assert stage.trainings.gave_up and not [e for e in stage.events if isinstance(e, Finished)]
    assert (0, 1) in [(a.trial, a.replicate) for a in Stage(tmp_path, stage.events).hand_out(4)]


def test_reports_reach_the_seed_that_they_are_of(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    supervisor = TrialSupervisor(stage.trainings)
    for name in ("a", "b", "c", "d"):
        supervisor.next_assignment(name)
    assert not supervisor.on_result("d", report())
    assert supervisor.on_result("c", done(supervisor._running["c"]))
    reported = [(e.trial, e.replicate) for e in stage.events if isinstance(e, Reported)]
    assert reported == [(1, 1)] and [e.replicate for e in stage.events if isinstance(e, Repeated)] == [1]


def test_no_search_takes_listed_for_a_strategy() -> None:
    arena = Arena(table=made_table(8, epochs=3), objectives=SETTINGS.objectives)
    with pytest.raises(SettingsError, match="strategy: got 'listed'; one of tpe"):
        make_strategy(LISTED, arena.problem(0))


def test_the_best_is_not_chosen_by_what_was_trained_on() -> None:
    with pytest.raises(SettingsError, match=r"keep: got best with val, whose images are trained on \(split train\)"):
        replace(SETTINGS, keep="best")
    assert replace(SETTINGS, keep="best", fit_on="fit", is_validation_seen=False).validation == "val"
    assert SETTINGS.validation == "val (images that were trained on)"


@pytest.mark.parametrize("changes", [{"fit_on": "test"}, {"validate_on": "nuaa/test1"}])
def test_no_training_reads_a_test_split(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="must be no test split"):
        replace(SETTINGS, **changes)
