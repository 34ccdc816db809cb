"""What every strategy keeps to behind a session: any number of workers, any order of arrival, failures, restarts.

Workers are made up: they answer from a table of curves, one report at a time, in an order drawn from a seed, and keep
checkpoints as real ones do.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.tables import made_table

from irnas.core.objective import parse
from irnas.core.result import Result, Status
from irnas.core.settings import MULTI_FIDELITY, STRATEGIES, Budget, SearchSettings, TotalBudget
from irnas.search.session import Place, Session
from irnas.search.strategy import History
from irnas.search.strategy.catalogue import make_strategy
from irnas.simulation.simulator import Arena
from irnas.training.trial import Assignment, Report

EPOCHS, TRIALS = 9, 8
ARENA = Arena(table=made_table(40, epochs=EPOCHS), objectives=parse("miou,ops"))


class Crash(Exception):
    """The driver is gone."""


class Floor:
    """Made-up workers around a session, and the record that survives them."""

    def __init__(
        self, folder: Path, name: str, *, workers: int, order: int, broken: frozenset[str] = frozenset(), **changes: Any
    ) -> None:
        self.folder, self.name, self.workers = folder, name, workers
        fields = {"trials": TRIALS, **changes}
        self.settings = SearchSettings(space="made", strategy=name, budget=Budget(epochs=EPOCHS), **fields)
        self.rng, self.broken = random.Random(order), broken
        self.events: list[dict[str, Any]] = []
        self.checkpoints: dict[str, int] = {}
        self.crash_at = -1

    def record(self, kind: str, fields: Mapping[str, Any]) -> None:
        # Through JSON: what a session cannot write it cannot read again.
        self.events.append(json.loads(json.dumps({"kind": kind, **fields})))
        if len(self.events) == self.crash_at:
            raise Crash

    def run(self) -> Session:
        """Work until there is no more, from wherever the record stands."""
        asker = make_strategy(
            self.name, ARENA.space, ARENA.objectives, ARENA.price, epochs=EPOCHS, num_trials=TRIALS, seed=0, pool=40
        )
        place = Place(uri=str(self.folder), dataset="d", data_rev="rev", code_rev="code")
        session = Session(asker, self.settings, place, self.record)
        session.restore(History.of(self.events))
        at_work: list[Assignment] = []
        while True:
            while len(at_work) < self.workers and (found := session.next()) is not None:
                assert found.trial not in [a.trial for a in at_work], "handed out twice at once"
                at_work.append(found)
            if not at_work:
                session.close()
                return session
            mine = self.rng.choice(at_work)
            if self.step(session, mine):
                at_work.remove(mine)

    def step(self, session: Session, mine: Assignment) -> bool:
        """One epoch, or the end; whether the worker is free then."""
        key = mine.genotype.key
        curve, done = ARENA.seen(key), self.checkpoints.get(key, 0)
        if key in self.broken and done == 2:
            session.finish(mine.result(Status.FAILED, {}, epochs=done, seconds=1.0, error="E: broken"))
            return True
        if done < EPOCHS:
            self.checkpoints[key] = done + 1
            report = Report(epoch=done + 1, values=curve[done].values, seconds=curve[done].seconds)
            return session.report(mine.trial, report)
        session.finish(mine.result(Status.OK, curve[-1].values, epochs=EPOCHS, seconds=curve[-1].seconds))
        return True

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["kind"] == kind]

    @property
    def results(self) -> list[Result]:
        return [Result.from_document(e["result"]) for e in self.of("finished")]


def require_accounted(floor: Floor) -> None:
    """Each network once, each trial ended once, each epoch paid once, nothing at work that was let go."""
    assert len({e["key"] for e in floor.of("proposed")}) == len(floor.of("proposed"))
    ended = Counter(r.trial for r in floor.results)
    assert set(ended.values()) == {1} and set(ended) == {e["trial"] for e in floor.of("proposed")}
    paid = Counter((e["trial"], e["epoch"]) for e in floor.of("reported"))
    assert set(paid.values()) == {1}
    halted: set[int] = set()
    for event in floor.events:
        if event["kind"] == "continued":
            halted.remove(event["trial"])
        elif event["kind"] == "reported":
            assert event["trial"] not in halted
            halted |= {event["trial"]} if event["paused"] else set()
    for result in floor.results:
        last = max((e for t, e in paid if t == result.trial), default=0)
        assert result.epochs == last == (EPOCHS if result.status is Status.OK else last)
        if result.status is not Status.FAILED:
            curve = ARENA.seen(result.key)
            assert {n: result.values[n] for n in curve[0].values} == curve[last - 1].values
    if floor.name in MULTI_FIDELITY:
        assert len(paid) >= TRIALS * EPOCHS > len(paid) - floor.workers * EPOCHS
    else:
        assert len(floor.results) == TRIALS


def require_the_same_after_crashes(whole: Floor, cuts: Iterable[int]) -> None:
    """The search again, with a crash after each of so many events: its results are those of the whole one."""
    for cut in cuts:
        floor = Floor(whole.folder, whole.name, workers=1, order=0)
        floor.settings, floor.crash_at = whole.settings, cut
        with pytest.raises(Crash):
            floor.run()
        floor.crash_at = -1
        floor.run()
        assert floor.results == whole.results, f"after a crash at event {cut}"


# The Gaussian process takes seconds a search: one order, one crash.
@pytest.mark.parametrize(
    ("name", "workers", "order"),
    [(n, w, o) for n in STRATEGIES for w in (1, 3) for o in range(3) if n != "gp" or (w, o) == (3, 0)],
)
def test_everything_is_accounted_for_in_any_order(name: str, workers: int, order: int, tmp_path: Path) -> None:
    floor = Floor(tmp_path, name, workers=workers, order=order)
    floor.run()
    require_accounted(floor)
    if name in MULTI_FIDELITY:
        assert {Status.OK, Status.STOPPED} == {r.status for r in floor.results}


@pytest.mark.parametrize("name", STRATEGIES)
def test_networks_that_fail_do_no_harm(name: str, tmp_path: Path) -> None:
    broken = frozenset(random.Random(7).sample([p.key for p in ARENA.table.points], 5))
    floor = Floor(tmp_path, name, workers=3, order=0, broken=broken)
    floor.run()
    assert {r.key for r in floor.results if r.status is Status.FAILED} <= broken
    require_accounted(floor)


@pytest.mark.parametrize(
    ("name", "cut"), [(n, c) for n in STRATEGIES for c in (2, 7, 20, 41, 77) if n != "gp" or c == 41]
)
def test_a_crash_anywhere_loses_and_repeats_nothing(name: str, cut: int, tmp_path: Path) -> None:
    floor = Floor(tmp_path, name, workers=2, order=1)
    floor.crash_at = cut
    with pytest.raises(Crash):
        floor.run()
    before = floor.results
    floor.crash_at = -1
    floor.run()
    assert floor.results[: len(before)] == before
    require_accounted(floor)


@pytest.mark.parametrize("name", ["random", *MULTI_FIDELITY])
def test_with_one_worker_a_crash_changes_nothing_at_all(name: str, tmp_path: Path) -> None:
    whole = Floor(tmp_path, name, workers=1, order=0)
    whole.run()
    require_the_same_after_crashes(whole, range(3, len(whole.events), 11))


def test_a_random_search_finds_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    found = []
    for workers in (1, 2, 5):
        floor = Floor(tmp_path, "random", workers=workers, order=workers)
        floor.run()
        found.append({r.key: (r.values, r.seed) for r in floor.results})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("budget_limit", "epochs"), [("30epochs", 30), ("100s", None)])
def test_a_budget_ends_any_search(budget_limit: str, epochs: int | None, tmp_path: Path) -> None:
    for name in ("random", "freeze-thaw"):
        floor = Floor(tmp_path, name, workers=1, order=0, budget_limit=TotalBudget.parse("budget", budget_limit))
        session = floor.run()
        assert "spent" in session.stop_reason
        paid = len(floor.of("reported"))
        spent = sum(r.seconds for r in floor.results)
        assert paid - EPOCHS < 30 <= paid if epochs else 100 <= spent
        assert {e["trial"] for e in floor.of("proposed")} == {r.trial for r in floor.results}


def test_a_search_ends_where_one_more_percent_is_not_worth_it(tmp_path: Path) -> None:
    floor = Floor(tmp_path, "freeze-thaw", workers=1, order=0, worth=30.0, trials=100)
    session = floor.run()
    assert session.stop_reason == "one more percent of hypervolume would take more than 30s"
    assert 10 < len(floor.of("reported")) < 40 * EPOCHS
    assert {e["trial"] for e in floor.of("proposed")} == {r.trial for r in floor.results}
    assert any(e["memory"].get("belief") for e in floor.of("proposed"))


@pytest.mark.parametrize("name", MULTI_FIDELITY)
@pytest.mark.parametrize("order", range(4))
def test_who_goes_on_beyond_the_budget_is_trained_to_the_end(name: str, order: int, tmp_path: Path) -> None:
    floor = Floor(tmp_path, name, workers=3, order=order, finalists=4)
    floor.run()
    paid = [i for i, e in enumerate(floor.events) if e["kind"] == "reported"]
    spent = paid[TRIALS * EPOCHS - 1]
    promoted = {e["trial"] for e in floor.events[spent:] if e["kind"] == "continued"}
    status = {r.trial: r.status for r in floor.results}
    assert {status[t] for t in promoted} <= {Status.OK}


@pytest.mark.parametrize("name", MULTI_FIDELITY)
def test_a_crash_among_finalists_promotes_no_others(name: str, tmp_path: Path) -> None:
    whole = Floor(tmp_path, name, workers=1, order=0, trials=2, finalists=2)
    whole.run()
    promotions = [i for i, e in enumerate(whole.events, 1) if e["kind"] == "continued" and e["promoted"]]
    assert promotions
    require_the_same_after_crashes(whole, range(promotions[0], len(whole.events)))


def test_a_search_that_is_worth_no_more_still_has_its_finalists(tmp_path: Path) -> None:
    floor = Floor(tmp_path, "freeze-thaw", workers=6, order=0, worth=2.0, trials=100, finalists=3)
    assert floor.run().stop_reason == "one more percent of hypervolume would take more than 2s"
    enough = next(i for i, e in enumerate(floor.events) if e.get("promoted"))
    promoted = {e["trial"] for e in floor.events[enough:] if e["kind"] == "continued"}
    assert promoted and promoted <= {r.trial for r in floor.results if r.status is Status.OK}
    assert not any(e["kind"] == "proposed" for e in floor.events[enough:])


def test_what_was_drawn_at_random_carries_no_belief(tmp_path: Path) -> None:
    floor = Floor(tmp_path, "freeze-thaw", workers=1, order=0, trials=20)
    floor.run()
    acts = [
        e["memory"].get("belief") if e["kind"] == "proposed" else e["belief"]
        for e in floor.events
        if e["kind"] in ("proposed", "continued")
    ]
    believed = [b for b in acts[10:] if b]
    assert 0 < len(acts[10:]) - len(believed) < len(acts[10:]) / 3
    assert len({tuple(sorted(b.items())) for b in believed}) == len(believed), "a belief told of two actions"
