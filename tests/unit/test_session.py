from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support.opened import opened
from support.strategies import strategy
from support.tables import made_table

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, TotalBudget, trial_seed
from irnas.record.events import Event, Finished, Proposed, Retried
from irnas.record.run import Run
from irnas.search.assign import Place
from irnas.search.session import MAX_FAILED_IN_A_ROW, Session
from irnas.search.strategy import Decision, History
from irnas.search.strategy.freeze_thaw import FreezeThaw
from irnas.simulation.simulator import Arena
from irnas.training.trial import Assignment, Report

E = TypeVar("E", bound=Event)


class Scripted:
    """A strategy that proposes these points of rpcanet_plus in turn, and forgets everything."""

    def __init__(self, *points: str) -> None:
        genotypes = [catalog.find_point("rpcanet_plus", point) for point in points]
        self.proposals = [
            Proposal(trial=trial, genotype=genotype, costs={"ops": 1e6}, origin="script")
            for trial, genotype in enumerate(genotypes)
        ]
        self.rest = list(self.proposals)

    def ask(self) -> Proposal | None:
        return self.rest.pop(0) if self.rest else None

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        """Nothing is learnt."""

    def restore(self, history: History) -> None:
        self.rest = self.rest[len(history.proposals) :]


class Search:
    """A session with its events in a list."""

    def __init__(self, folder: Path, *, trials: int = 6, before: Sequence[Event] = (), **changes: Any) -> None:
        settings = SearchSettings(space="tiny", trials=trials, seed=5, limits=changes.get("limits", {}))
        place = Place(uri=str(folder), dataset="d", data_rev="rev", code_rev="code")
        run = Run.of(str(folder), [opened(settings), *before])
        self.events: list[Event] = []
        self.session = Session(changes.pop("script", None) or strategy(**changes), run, place, self.events.append)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


def done(assignment: Assignment, miou: float = 0.5) -> Result:
    return assignment.result(Status.OK, {"miou": miou}, epochs=1, seconds=1.0)


def failed(assignment: Assignment, error: str = "E: broken") -> Result:
    return assignment.result(Status.FAILED, {}, epochs=0, seconds=1.0, error=error)


def test_it_hands_out_exactly_the_planned_trials(tmp_path: Path) -> None:
    search = Search(tmp_path)
    while assignment := search.session.next():
        assert assignment.seed == trial_seed(5, assignment.genotype.key)
        search.session.finish(done(assignment))
    assert search.session.run.num_trained == len(search.of(Finished)) == len(search.of(Proposed)) == 6
    assert search.session.stop_reason == "all trials are handed out"


def test_seeds_follow_the_run_and_the_network_not_the_order() -> None:
    assert trial_seed(5, "a") == trial_seed(5, "a")
    assert len({trial_seed(run, key) for run in range(3) for key in "abc"}) == 9


def test_running_trials_count_against_the_plan(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=3)
    handed = [search.session.next() for _ in range(5)]
    assert [a is None for a in handed] == [False, False, False, True, True]


def test_a_finished_trial_is_finished_once(tmp_path: Path) -> None:
    search = Search(tmp_path)
    assignment = search.session.next()
    assert assignment
    search.session.finish(done(assignment, 0.5))
    search.session.finish(done(assignment, 0.9))
    assert [e.result.values["miou"] for e in search.of(Finished)] == [0.5]


def test_the_checkpoint_goes_when_the_result_is_recorded(tmp_path: Path) -> None:
    search = Search(tmp_path)
    assignment = search.session.next()
    assert assignment
    checkpoint = Path(assignment.checkpoint)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"state")
    search.session.report(assignment.trial, Report(epoch=1, values={"miou": 0.1, "loss": 1.0}, seconds=1.0))
    assert checkpoint.exists()
    search.session.finish(done(assignment))
    assert not checkpoint.exists()


def test_restoring_loses_and_repeats_nothing(tmp_path: Path) -> None:
    first = Search(tmp_path, trials=8)
    handed = [a for _ in range(5) if (a := first.session.next())]
    for assignment in handed[:3]:
        first.session.finish(done(assignment))

    second = Search(tmp_path, trials=8, before=first.events)
    again = []
    while assignment := second.session.next():
        again.append(assignment)
        second.session.finish(done(assignment))
    assert [a.trial for a in again] == [3, 4, 5, 6, 7]
    assert {a.genotype.key for a in again[:2]} == {a.genotype.key for a in handed[3:]}
    keys = [r.key for r in second.session.run.outcomes]
    assert len(keys) == len(set(keys)) == 8


def test_failures_in_a_row_stop_the_search_and_name_the_cause(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=20)
    for number in range(MAX_FAILED_IN_A_ROW):
        assignment = search.session.next()
        assert assignment
        search.session.finish(failed(assignment, "E: rare" if number == 0 else "E: common"))
    assert search.session.next() is None
    assert search.session.stop_reason == "5 of 5 trials failed, 4 with: E: common"


def test_scattered_failures_stop_it_above_a_share(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=20)
    handed = 0
    while assignment := search.session.next():
        handed += 1
        search.session.finish(failed(assignment) if handed % 3 == 0 else done(assignment))
    assert handed == 15 and "5 of 15 trials failed" in search.session.stop_reason


def test_few_failures_do_not(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=20)
    handed = 0
    while assignment := search.session.next():
        handed += 1
        search.session.finish(failed(assignment) if handed in (2, 9, 15) else done(assignment))
    assert handed == 20


def test_a_limit_rejects_without_training(tmp_path: Path) -> None:
    search = Search(tmp_path, trials=50, limits={"ops": 2.0e7})
    while assignment := search.session.next():
        assert assignment.costs["ops"] <= 2.0e7
        search.session.finish(done(assignment))
    statuses = [r.status for r in search.session.run.outcomes]
    assert statuses.count(Status.REJECTED) > 0 and statuses.count(Status.OK) == search.session.run.num_trained
    assert search.session.stop_reason == "the space has no further point"


def test_an_impossible_limit_is_an_error_that_names_the_least(tmp_path: Path) -> None:
    search = Search(tmp_path, limits={"ops": 1.0})
    with pytest.raises(SettingsError, match="must admit some network: the smallest of 24 has 8e\\+06"):
        search.session.next()


def test_a_lost_worker_is_recorded_and_may_end_in_failure(tmp_path: Path) -> None:
    search = Search(tmp_path)
    assignment = search.session.next()
    assert assignment
    search.session.retry(assignment.trial, "its worker died")
    search.session.fail(assignment.trial, "its worker died 3 times")
    assert [e.error for e in search.of(Retried)] == ["its worker died"]
    assert search.session.run.outcomes[0].status is Status.FAILED


def test_a_rest_that_ends_no_training_ends_the_search(tmp_path: Path) -> None:
    where = Arena(table=made_table(30, epochs=9), objectives=parse("miou,ops"))
    settings = SearchSettings(
        space="made", strategy="freeze-thaw", budget_limit=TotalBudget(epochs=25), budget=Budget(epochs=9)
    )
    asker = FreezeThaw(where.space, where.objectives, where.price, epochs=9, total_budget=settings.total_budget)
    place = Place(uri=str(tmp_path), dataset="d", data_rev="rev", code_rev="code")
    session = Session(asker, Run(str(tmp_path), opened(settings)), place, lambda event: None)
    reached: dict[int, int] = {}
    while assignment := session.next():
        curve = where.visible_curve(assignment.genotype.key)
        for step in curve[reached.get(assignment.trial, 0) :]:
            reached[assignment.trial] = step.epoch
            values = {name: step.values[name] for name in ("miou",)}
            if (
                session.report(assignment.trial, Report(epoch=step.epoch, values=values, seconds=step.seconds))
                is Decision.PAUSE
            ):
                break
        else:
            session.finish(assignment.result(Status.OK, values, epochs=9, seconds=curve[-1].seconds))
    assert session.stop_reason == "what is left of the budget ends no training"
    assert 18 <= sum(reached.values()) < 25 and session.run.num_trained == 2


TWINS = (
    "stages=1",
    "stages=1,depth_m=1",
    "stages=2",
    "stages=1,merge_bc=4,depth_n=3,carry_n=true",
    "stages=2,depth_m=1",
)


def test_what_deploys_to_a_trained_network_is_not_trained_again(tmp_path: Path) -> None:
    search = Search(tmp_path, script=Scripted(*TWINS))
    trained = []
    while assignment := search.session.next():
        trained.append(assignment.trial)
        search.session.finish(done(assignment))
    assert trained == [0, 2, 4]
    first = search.session.run.trials[0].key
    rejected = [event.result for event in search.of(Finished) if event.result.status is Status.REJECTED]
    assert {r.trial: r.note for r in rejected} == dict.fromkeys((1, 3), f"deploys to the same network as {first}")
    assert search.session.stop_reason == "the space has no further point"


def test_a_twin_of_what_failed_is_trained(tmp_path: Path) -> None:
    search = Search(tmp_path, script=Scripted(*TWINS[:2]))
    first = search.session.next()
    assert first
    search.session.finish(failed(first))
    second = search.session.next()
    assert second and second.trial == 1


def test_a_twin_that_a_kill_left_open_is_not_trained(tmp_path: Path) -> None:
    script = Scripted(*TWINS[:3])
    before = [Proposed(proposal=proposal) for proposal in script.proposals[:2]]
    search = Search(tmp_path, script=script, before=before)
    handed = [search.session.next() for _ in range(2)]
    assert [assignment.trial for assignment in handed if assignment] == [0, 2]
    assert [event.trial for event in search.of(Finished)] == [1]
