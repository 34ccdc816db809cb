"""Workers die at every moment; no trial is lost, none is trained twice at once, and none for ever."""

from __future__ import annotations

import pytest
from support.results import result, tiny_space

from irnas.core.settings import Budget, Recipe
from irnas.search.retries import MAX_RETRIES, Relay
from irnas.training.trial import Assignment, Report


def assignment(trial: int) -> Assignment:
    return Assignment(
        trial=trial,
        genotype=tiny_space().default(),
        costs={},
        seed=3,
        dataset="d",
        data_rev="r",
        code_rev="c",
        budget=Budget(),
        recipe=Recipe(),
        preset="basicirstd",
        uri="run",
    )


def report(epoch: int) -> Report:
    return Report(epoch=epoch, values={}, seconds=1.0)


class Script:
    """A session of two trials that writes down what it is told."""

    def __init__(self) -> None:
        self.left = [assignment(0), assignment(1)]
        self.told: list[tuple[object, ...]] = []
        self.stop_reason = ""
        self.stops_at = 99

    def next(self) -> Assignment | None:
        if not self.left:
            self.stop_reason = "all trials are handed out"
            return None
        return self.left.pop(0)

    def report(self, trial: int, report: Report) -> bool:
        self.told.append(("report", trial, report.epoch))
        return report.epoch >= self.stops_at

    def retry(self, trial: int, error: str) -> None:
        self.told.append(("retry", trial, error))

    def finish(self, found: object) -> None:
        self.told.append(("finish", found))

    def fail(self, trial: int, error: str) -> None:
        self.told.append(("fail", trial, error))


@pytest.fixture
def session() -> Script:
    return Script()


@pytest.fixture
def relay(session: Script) -> Relay:
    return Relay(session)  # type: ignore[arg-type]


def trial_of(found: Assignment | None) -> int | None:
    return None if found is None else found.trial


def test_a_lost_trial_comes_before_new_ones(relay: Relay, session: Script) -> None:
    assert trial_of(relay.ask("a")) == 0
    relay.lose("a")
    assert [trial_of(relay.ask(name)) for name in "bcd"] == [0, 1, None]
    assert session.told == [("retry", 0, "its worker died; started again from its checkpoint")]


def test_it_is_not_over_while_a_worker_may_die(relay: Relay, session: Script) -> None:
    """Tune never asks again once it was told that there is no more; the last trials would be lost."""
    assert [trial_of(relay.ask(name)) for name in "abc"] == [0, 1, None]
    assert session.stop_reason and not relay.is_over
    assert relay.take("a", result(0, {"miou": 0.5}))
    relay.lose("b")
    assert not relay.is_over
    assert trial_of(relay.ask("d")) == 1
    assert relay.take("d", result(1, {"miou": 0.5})) and relay.is_over


def test_a_trial_that_kills_its_workers_is_given_up(relay: Relay, session: Script) -> None:
    for number in range(MAX_RETRIES + 1):
        assert trial_of(relay.ask(str(number))) == 0
        relay.lose(str(number))
    assert trial_of(relay.ask("other")) == 1
    assert session.told[-1] == ("fail", 0, f"its worker died, {MAX_RETRIES + 1} times without an epoch in between")


def test_a_trial_that_gets_further_each_time_is_never_given_up(relay: Relay, session: Script) -> None:
    for number in range(5 * MAX_RETRIES):
        assert trial_of(relay.ask(str(number))) == 0
        assert not relay.take(str(number), report(number + 1))
        relay.lose(str(number))
    assert not [t for t in session.told if t[0] == "fail"]


def test_the_death_of_a_worker_that_had_let_go_is_nothing(relay: Relay, session: Script) -> None:
    session.stops_at = 2
    relay.ask("a")
    assert relay.take("a", report(2))
    relay.lose("a")
    assert not [t for t in session.told if t[0] == "retry"] and trial_of(relay.ask("b")) == 1


def test_a_worker_that_is_killed_for_its_silence_is_said_to_be(relay: Relay, session: Script) -> None:
    relay.ask("a")
    relay.accuse("a", "its worker said nothing for 700 s and was killed")
    relay.lose("a")
    relay.ask("b")
    relay.lose("b")
    assert [t[2].partition(";")[0] for t in session.told] == [
        "its worker said nothing for 700 s and was killed",
        "its worker died",
    ]


def test_the_first_error_is_kept(relay: Relay, session: Script) -> None:
    session.next = lambda: 1 / 0  # type: ignore[assignment, return-value, method-assign]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            relay.ask("a")
    assert isinstance(relay.error, ZeroDivisionError)
