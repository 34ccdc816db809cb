"""What every strategy keeps to behind a session: any number of workers, any order of arrival, failures, restarts.

Workers are made up: they answer from a table of curves, one report at a time, in an order drawn from a seed, and keep
checkpoints as real ones do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support.opened import opened
from support.tables import made_table

from irnas.core.heritage import Heritage
from irnas.core.objective import parse
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.core.strategies import INHERITING, MULTI_FIDELITY, STRATEGIES
from irnas.record.events import Continued, Event, Finished, Proposed, Reported
from irnas.record.line import read_line, to_line
from irnas.record.run import Run
from irnas.search.assign import Place
from irnas.search.session import Session
from irnas.search.strategy import Decision
from irnas.search.strategy.catalogue import make_strategy
from irnas.simulation.simulator import Arena
from irnas.training.trial import Assignment, Report

EPOCHS, TRIALS = 9, 8
ARENA = Arena(table=made_table(40, epochs=EPOCHS), objectives=parse("miou,ops"))


E = TypeVar("E", bound=Event)


class Crash(Exception):
    """The driver is gone."""


class Driver:
    """Made-up workers around a session, and the record that survives them."""

    def __init__(
        self, folder: Path, name: str, *, workers: int, order: int, broken: frozenset[str] = frozenset(), **changes: Any
    ) -> None:
        self.folder, self.name, self.workers = folder, name, workers
        fields = {"trials": TRIALS, **changes}
        self.settings = SearchSettings(space="made", strategy=name, budget=Budget(epochs=EPOCHS), **fields)
        self.rng, self.broken = random.Random(order), broken
        self.events: list[Event] = []
        self.checkpoints: dict[str, int] = {}
        self.crash_at = -1

    def record(self, event: Event) -> None:
        # Through JSON: what a session cannot write it cannot read again.
        number = len(self.events) + 1
        self.events.append(read_line(to_line(event, number), "made up")[0])
        if len(self.events) == self.crash_at:
            raise Crash

    def run(self) -> Session:
        """Work until there is no more, from wherever the record stands."""
        problem = replace(ARENA.problem(0), num_trials=TRIALS, pool_size=40)
        if self.name in INHERITING:
            problem = replace(problem, total_budget=self.settings.total_budget)
        asker = make_strategy(self.name, problem)
        place = Place(uri=str(self.folder), dataset="d", data_rev="rev", code_rev="code")
        run = Run.of(str(self.folder), [opened(self.settings, bounds=ARENA.bounds), *self.events])
        session = Session(asker, run, place, self.record)
        pending: list[Assignment] = []
        while True:
            while len(pending) < self.workers and (assignment := session.next()) is not None:
                assert assignment.trial not in [a.trial for a in pending], "handed out twice at once"
                pending.append(assignment)
            if not pending:
                session.close()
                return session
            assignment = self.rng.choice(pending)
            if self.step(session, assignment):
                pending.remove(assignment)

    def step(self, session: Session, assignment: Assignment) -> bool:
        """Train one epoch, or end the trial; return whether the worker is free then."""
        key = assignment.genotype.key
        if assignment.parent:
            return self.step_heir(session, assignment)
        curve, done = ARENA.visible_curve(key), self.checkpoints.get(key, 0)
        if key in self.broken and done == 2:
            session.finish(assignment.result(Status.FAILED, {}, epochs=done, seconds=1.0, error="E: broken"))
            return True
        if done < EPOCHS:
            self.checkpoints[key] = done + 1
            report = Report(epoch=done + 1, values=curve[done].values, seconds=curve[done].seconds)
            return session.report(assignment.trial, report) is Decision.PAUSE
        session.finish(assignment.result(Status.OK, curve[-1].values, epochs=EPOCHS, seconds=curve[-1].seconds))
        return True

    def step_heir(self, session: Session, assignment: Assignment) -> bool:
        """The same of a network that starts from its parent's weights, or from its own."""
        parent, key, before = assignment.parent, assignment.genotype.key, assignment.epochs_before
        assert parent and parent.key in {r.key for r in self.results if r.status is Status.OK}, "nobody trained it"
        curve, done = ARENA.visible_curve(key), self.checkpoints.get(assignment.checkpoint, 0)
        if key in self.broken:
            session.finish(assignment.result(Status.FAILED, {}, epochs=before, seconds=1.0, error="E: broken"))
            return True
        values, epochs = curve[-1].values, assignment.epochs_of_heirs
        if done < epochs:
            self.checkpoints[assignment.checkpoint] = done + 1
            report = Report(epoch=before + done + 1, values=values, seconds=assignment.spent + 1.0)
            return session.report(assignment.trial, report) is Decision.PAUSE
        heritage = Heritage(parent=parent.key, share=1.0, epochs=parent.epochs + epochs)
        result = assignment.result(Status.OK, values, epochs=before + epochs, seconds=1.0, heritage=heritage)
        session.finish(result)
        return True

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def results(self) -> list[Result]:
        return [event.result for event in self.of(Finished)]


def require_accounted(driver: Driver) -> None:
    """Each network once, each trial ended once, each epoch paid once, nothing at work that was let go."""
    assert len({e.proposal.key for e in driver.of(Proposed)}) == len(driver.of(Proposed))
    ended = Counter(r.trial for r in driver.results)
    goes = Counter(e.trial for e in driver.of(Continued)) if driver.name in INHERITING else Counter[int]()
    assert all(times == 1 + goes[trial] for trial, times in ended.items()) and set(ended) == {
        e.proposal.trial for e in driver.of(Proposed)
    }
    paid = Counter((e.trial, e.epoch) for e in driver.of(Reported))
    assert set(paid.values()) == {1}
    halted: set[int] = set()
    for event in driver.events:
        if isinstance(event, Continued) and driver.name not in INHERITING:
            halted.remove(event.trial)
        elif isinstance(event, Reported):
            assert event.trial not in halted
            halted |= {event.trial} if event.paused else set()
    for result in driver.results:
        if driver.name in INHERITING:
            continue
        last = max((e for t, e in paid if t == result.trial), default=0)
        assert result.epochs == last == (EPOCHS if result.status is Status.OK else last)
        if result.status is not Status.FAILED:
            curve = ARENA.visible_curve(result.key)
            assert {n: result.values[n] for n in curve[0].values} == curve[last - 1].values
    if driver.name in MULTI_FIDELITY:
        assert len(paid) >= TRIALS * EPOCHS > len(paid) - driver.workers * EPOCHS
    elif driver.name in INHERITING:
        # All is spent but what would not pay for one more heir, and no more: what its parents took counts.
        assert TRIALS * EPOCHS - EPOCHS < len(paid) <= TRIALS * EPOCHS
        lines = {r.trial: r for r in driver.results if r.status is Status.OK}
        assert all(r.epochs == max(e for t, e in paid if t == r.trial) for r in lines.values())
        heirs = [e.proposal for e in driver.of(Proposed) if e.proposal.parent]
        assert heirs and len(driver.of(Proposed)) - len(heirs) < TRIALS / 2 + driver.workers
    else:
        assert len(driver.results) == TRIALS


def require_the_same_after_crashes(expected: Driver, cuts: Iterable[int]) -> None:
    """Search again, with a crash after each of so many events: the results are those of the uninterrupted search."""
    for cut in cuts:
        driver = Driver(expected.folder, expected.name, workers=1, order=0)
        driver.settings, driver.crash_at = expected.settings, cut
        with pytest.raises(Crash):
            driver.run()
        driver.crash_at = -1
        driver.run()
        assert driver.results == expected.results, f"after a crash at event {cut}"


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_pauses_trainings_if_its_row_says_so(name: str) -> None:
    asker = make_strategy(name, replace(ARENA.problem(0), num_trials=TRIALS, pool_size=40))
    decisions: list[Decision] = []
    for _ in range(4):
        proposal = asker.ask()
        assert proposal
        for step in ARENA.visible_curve(proposal.genotype.key):
            decisions.append(asker.observe(proposal.trial, step.epoch, step.values, step.seconds))
            if decisions[-1] is Decision.PAUSE:
                break
    assert (Decision.PAUSE in decisions) is STRATEGIES[name].is_multi_fidelity
    assert set(decisions) <= set(Decision)


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_breaks_a_limit_is_refused_by_name(name: str) -> None:
    problem = replace(ARENA.problem(0), num_trials=TRIALS, pool_size=40)
    costs = sorted(problem.price(g)["ops"] for g in problem.space.points())
    # Some ask for refused networks and say so; others ask for none.
    most = costs[len(costs) // 4]
    asker = make_strategy(name, replace(problem, limits={"ops": most}))
    proposals = [proposal for _ in range(16) if (proposal := asker.ask())]
    admitted = [p for p in proposals if not p.refused]
    assert admitted and all(p.costs["ops"] <= most for p in admitted)
    refused = [p for p in proposals if p.refused]
    assert all(p.costs["ops"] > most and p.refused.startswith("ops: got ") for p in refused)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_networks_to_begin_with_come_first(name: str) -> None:
    problem = replace(ARENA.problem(0), num_trials=TRIALS, pool_size=40)
    *_, second, first = problem.space.points()
    asker = make_strategy(name, replace(problem, first=(("published A", first), ("published B", second))))
    proposals = [asker.ask(), asker.ask()]
    assert [(p.origin, p.key) for p in proposals if p] == [("published A", first.key), ("published B", second.key)]


# The Gaussian process takes seconds a search: one order, one crash.
@pytest.mark.parametrize(
    ("name", "workers", "order"),
    [(n, w, o) for n in STRATEGIES for w in (1, 3) for o in range(3) if n != "gp" or (w, o) == (3, 0)],
)
def test_everything_is_accounted_for_in_any_order(name: str, workers: int, order: int, tmp_path: Path) -> None:
    driver = Driver(tmp_path, name, workers=workers, order=order)
    driver.run()
    require_accounted(driver)
    if name in MULTI_FIDELITY:
        assert {Status.OK, Status.STOPPED} == {r.status for r in driver.results}


@pytest.mark.parametrize("name", STRATEGIES)
def test_networks_that_fail_do_no_harm(name: str, tmp_path: Path) -> None:
    broken = frozenset(random.Random(7).sample([p.key for p in ARENA.table.points], 5))
    driver = Driver(tmp_path, name, workers=3, order=0, broken=broken)
    driver.run()
    assert {r.key for r in driver.results if r.status is Status.FAILED} <= broken
    require_accounted(driver)


@pytest.mark.parametrize(
    ("name", "cut"), [(n, c) for n in STRATEGIES for c in (2, 7, 20, 41, 77) if n != "gp" or c == 41]
)
def test_a_crash_anywhere_loses_and_repeats_nothing(name: str, cut: int, tmp_path: Path) -> None:
    driver = Driver(tmp_path, name, workers=2, order=1)
    driver.crash_at = cut
    with pytest.raises(Crash):
        driver.run()
    before = driver.results
    driver.crash_at = -1
    driver.run()
    assert driver.results[: len(before)] == before
    require_accounted(driver)


@pytest.mark.parametrize("name", ["random", *MULTI_FIDELITY, *INHERITING])
def test_with_one_worker_a_crash_changes_nothing_at_all(name: str, tmp_path: Path) -> None:
    expected = Driver(tmp_path, name, workers=1, order=0)
    expected.run()
    require_the_same_after_crashes(expected, range(3, len(expected.events), 11))


def test_a_random_search_is_the_same_with_any_workers(tmp_path: Path) -> None:
    outcomes = []
    for workers in (1, 2, 5):
        driver = Driver(tmp_path, "random", workers=workers, order=workers)
        driver.run()
        outcomes.append({r.key: (r.values, r.seed) for r in driver.results})
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.parametrize(("budget_limit", "epochs"), [("30epochs", 30), ("100s", None)])
def test_a_budget_ends_any_search(budget_limit: str, epochs: int | None, tmp_path: Path) -> None:
    for name in ("random", "freeze-thaw"):
        driver = Driver(tmp_path, name, workers=1, order=0, budget_limit=TotalBudget.parse("budget", budget_limit))
        session = driver.run()
        assert "spent" in session.stop_reason
        paid = len(driver.of(Reported))
        spent = sum(r.seconds for r in driver.results)
        assert paid - EPOCHS < 30 <= paid if epochs else 100 <= spent
        assert {e.proposal.trial for e in driver.of(Proposed)} == {r.trial for r in driver.results}


def test_a_search_ends_where_one_percent_costs_too_much(tmp_path: Path) -> None:
    driver = Driver(tmp_path, "freeze-thaw", workers=1, order=0, worth=30.0, trials=100)
    session = driver.run()
    assert session.stop_reason == "one more percent of hypervolume would take more than 30s"
    assert 10 < len(driver.of(Reported)) < 40 * EPOCHS
    assert {e.proposal.trial for e in driver.of(Proposed)} == {r.trial for r in driver.results}
    assert any(e.proposal.memory.get("belief") for e in driver.of(Proposed))


@pytest.mark.parametrize("name", MULTI_FIDELITY)
@pytest.mark.parametrize("order", range(4))
def test_a_trial_promoted_beyond_the_budget_ends_ok(name: str, order: int, tmp_path: Path) -> None:
    driver = Driver(tmp_path, name, workers=3, order=order, finalists=4)
    driver.run()
    paid = [i for i, e in enumerate(driver.events) if isinstance(e, Reported)]
    last_paid = paid[TRIALS * EPOCHS - 1]
    promoted = {e.trial for e in driver.events[last_paid:] if isinstance(e, Continued)}
    status = {r.trial: r.status for r in driver.results}
    assert {status[t] for t in promoted} <= {Status.OK}
    # Freeze-thaw has finished what is good by then; of the others something that is paused is on the front.
    assert promoted or name == "freeze-thaw"


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_crash_among_finalists_promotes_no_others(name: str, tmp_path: Path) -> None:
    expected = Driver(tmp_path, name, workers=1, order=0, trials=2, finalists=2)
    expected.run()
    promotions = [i for i, e in enumerate(expected.events, 1) if isinstance(e, Continued) and e.promoted]
    assert promotions
    require_the_same_after_crashes(expected, range(promotions[0], len(expected.events)))


def test_a_search_worth_no_more_still_has_its_finalists(tmp_path: Path) -> None:
    driver = Driver(tmp_path, "freeze-thaw", workers=6, order=0, worth=2.0, trials=100, finalists=3)
    assert driver.run().stop_reason == "one more percent of hypervolume would take more than 2s"
    enough = next(i for i, e in enumerate(driver.events) if isinstance(e, Continued) and e.promoted)
    promoted = {e.trial for e in driver.events[enough:] if isinstance(e, Continued)}
    assert promoted and promoted <= {r.trial for r in driver.results if r.status is Status.OK}
    assert not any(isinstance(e, Proposed) for e in driver.events[enough:])


def test_what_was_drawn_at_random_carries_no_belief(tmp_path: Path) -> None:
    driver = Driver(tmp_path, "freeze-thaw", workers=1, order=0, trials=20)
    driver.run()
    acts = [
        e.proposal.memory.get("belief") if isinstance(e, Proposed) else e.belief
        for e in driver.events
        if isinstance(e, Proposed | Continued)
    ]
    believed = [b for b in acts[10:] if b]
    assert 0 < len(acts[10:]) - len(believed) < len(acts[10:]) / 3
    assert len({tuple(sorted(b.items())) for b in believed}) == len(believed), "one belief of two actions"
