"""Workers die at every moment; no trial is lost, none is trained twice at once, and none for ever."""

from __future__ import annotations

import pytest
from support.assignments import unreal
from support.results import result

from irnas.search.retries import MAX_RETRIES, TrialSupervisor
from irnas.search.strategy import Decision
from irnas.training.trial import Assignment, Report


def report(epoch: int) -> Report:
    return Report(epoch=epoch, values={}, seconds=1.0)


class Script:
    """A session of two trials that writes down how it is called."""

    def __init__(self) -> None:
        self.waiting = [unreal(0), unreal(1)]
        self.calls: list[tuple[object, ...]] = []
        self.stop_reason = ""
        self.stops_at = 99

    def next(self) -> Assignment | None:
        if not self.waiting:
            self.stop_reason = "all trials are handed out"
            return None
        return self.waiting.pop(0)

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        self.calls.append(("report", trial, report.epoch))
        return Decision.PAUSE if report.epoch >= self.stops_at else Decision.CONTINUE

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        self.calls.append(("retry", trial, error))

    def finish(self, result: object, replicate: int = 0) -> None:
        self.calls.append(("finish", result))

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        self.calls.append(("fail", trial, error))


@pytest.fixture
def session() -> Script:
    return Script()


@pytest.fixture
def supervisor(session: Script) -> TrialSupervisor:
    return TrialSupervisor(session)


def trial_of(assignment: Assignment | None) -> int | None:
    return None if assignment is None else assignment.trial


def test_a_lost_trial_comes_before_new_ones(supervisor: TrialSupervisor, session: Script) -> None:
    assert trial_of(supervisor.next_assignment("a")) == 0
    supervisor.on_worker_lost("a")
    assert [trial_of(supervisor.next_assignment(name)) for name in "bcd"] == [0, 1, None]
    assert session.calls == [("retry", 0, "its worker died; started again from its checkpoint")]


def test_it_is_not_over_while_a_worker_may_die(supervisor: TrialSupervisor, session: Script) -> None:
    """Tune never asks again once it was told that there is no more; the last trials would be lost."""
    assert [trial_of(supervisor.next_assignment(name)) for name in "abc"] == [0, 1, None]
    assert session.stop_reason and not supervisor.is_over
    assert supervisor.on_result("a", result(0, {"miou": 0.5}))
    supervisor.on_worker_lost("b")
    assert not supervisor.is_over
    assert trial_of(supervisor.next_assignment("d")) == 1
    assert supervisor.on_result("d", result(1, {"miou": 0.5})) and supervisor.is_over


def test_a_trial_that_kills_its_workers_is_given_up(supervisor: TrialSupervisor, session: Script) -> None:
    for number in range(MAX_RETRIES + 1):
        assert trial_of(supervisor.next_assignment(str(number))) == 0
        supervisor.on_worker_lost(str(number))
    assert trial_of(supervisor.next_assignment("other")) == 1
    assert session.calls[-1] == ("fail", 0, f"its worker died, {MAX_RETRIES + 1} times without an epoch in between")


def test_a_trial_that_gets_further_each_time_is_never_given_up(supervisor: TrialSupervisor, session: Script) -> None:
    for number in range(5 * MAX_RETRIES):
        assert trial_of(supervisor.next_assignment(str(number))) == 0
        assert not supervisor.on_result(str(number), report(number + 1))
        supervisor.on_worker_lost(str(number))
    assert not [t for t in session.calls if t[0] == "fail"]


def test_the_death_of_a_worker_that_had_let_go_is_nothing(supervisor: TrialSupervisor, session: Script) -> None:
    session.stops_at = 2
    supervisor.next_assignment("a")
    assert supervisor.on_result("a", report(2))
    supervisor.on_worker_lost("a")
    assert not [t for t in session.calls if t[0] == "retry"] and trial_of(supervisor.next_assignment("b")) == 1


def test_a_worker_that_is_killed_for_its_silence_is_said_to_be(supervisor: TrialSupervisor, session: Script) -> None:
    supervisor.next_assignment("a")
    supervisor.expect_loss("a", "its worker said nothing for 700 s and was killed")
    supervisor.on_worker_lost("a")
    supervisor.next_assignment("b")
    supervisor.on_worker_lost("b")
    assert [t[2].partition(";")[0] for t in session.calls] == [
        "its worker said nothing for 700 s and was killed",
        "its worker died",
    ]


def test_the_first_error_is_kept(supervisor: TrialSupervisor, session: Script) -> None:
    session.next = lambda: 1 / 0  # type: ignore[assignment, return-value, method-assign]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            supervisor.next_assignment("a")
    assert isinstance(supervisor.error, ZeroDivisionError)
