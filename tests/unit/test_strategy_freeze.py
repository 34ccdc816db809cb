from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
from support.plain import PlainFreezeThaw
from support.tables import made_table

from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Status
from irnas.core.settings import ENDLESS, TotalBudget
from irnas.core.space import Genotype, Param, Space
from irnas.search.strategy import MAX_POOL, Decision, History, Observation
from irnas.search.strategy.catalogue import make_strategy
from irnas.search.strategy.freeze_thaw import FreezeThaw
from irnas.simulation.simulator import Arena, Trajectory, replay
from irnas.simulation.table import Step


def arena(num_points: int | None = 60, objectives: str = "miou,ops", **changes: Any) -> Arena:
    return Arena(table=made_table(num_points, **{"epochs": 9, **changes}), objectives=parse(objectives))


def freeze(where: Arena, **changes: Any) -> FreezeThaw:
    return FreezeThaw(where.space, where.objectives, where.price, **{"epochs": 9, "seed": 0, **changes})


def starts(asker: FreezeThaw, number: int) -> list[Proposal]:
    proposals = [asker.ask() for _ in range(number)]
    assert all(proposals)
    return [p for p in proposals if p]


def test_the_first_networks_are_one_of_each_cost_quantile() -> None:
    where = arena(60)
    ordered = sorted(p.free["ops"] for p in where.table.points)
    drawn = sorted(p.costs["ops"] for p in starts(freeze(where, num_first=6), 6))
    for quantile, ops in enumerate(drawn):
        assert ordered[10 * quantile] <= ops <= ordered[10 * quantile + 9]
    again = [p.trial for p in starts(freeze(where, num_first=6), 6)]
    assert again == list(range(6))
    keys = [[p.genotype.key for p in starts(freeze(where, num_first=6, seed=s), 6)] for s in (0, 1)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_promising_training_goes_on_the_dominated_pause(place: int) -> None:
    """Of five first networks the cheapest is by far the best; its report is the last one, or an earlier one."""
    where = arena(60)
    asker = freeze(where, num_first=5)
    first = starts(asker, 5)
    cheap = min(first, key=lambda p: p.costs["ops"])
    dominated = [p for p in first if p is not cheap]
    order = [*dominated[:place], cheap, *dominated[place:]]
    decisions = [asker.observe(p.trial, 1, {"miou": 0.9 if p is cheap else 0.01}) for p in order]
    assert decisions[:-1] == [Decision.PAUSE] * 4, "too early to judge"
    if place == 4:
        assert decisions[-1] is Decision.CONTINUE
    else:
        assert decisions[-1] is Decision.PAUSE
        assert starts(asker, 1)[0].trial == cheap.trial
    # From then on every worker starts a new network or repeats none: the dominated ones stay where they are.
    assert not {p.trial for p in starts(asker, 2)} & {p.trial for p in dominated}


def cost(where: Arena, name: str, seed: int) -> float:
    return replay(make_strategy(name, where.problem(seed)), where, until=0.95).cost


def test_on_smooth_curves_it_costs_a_fraction_of_random() -> None:
    where = arena(80, noise=0.003, num_seeds=1, epochs=27)
    ratios = [cost(where, "freeze-thaw", s) / cost(where, "random", s) for s in range(3)]
    assert sorted(ratios)[1] < 0.6


@pytest.mark.parametrize("objectives", ["miou", "miou,ops,params", "fa,ops"])
def test_any_number_of_free_objectives(objectives: str) -> None:
    where = arena(25, objectives)
    trajectory = replay(freeze(where), where, workers=3, until=math.inf)
    assert len(trajectory.moments) == 25 and trajectory.moments[-1].share == pytest.approx(1.0)
    assert trajectory.resumed > 0


@pytest.mark.parametrize(("objectives", "named_ones"), [("ops,params", "none"), ("miou,fa,ops", "miou, fa")])
def test_it_wants_exactly_one_objective_that_needs_training(objectives: str, named_ones: str) -> None:
    where = arena(3)
    with pytest.raises(SettingsError, match=f"got {named_ones} as objectives that need training; must be exactly one"):
        FreezeThaw(where.space, parse(objectives), where.price, epochs=9)


def test_a_pending_network_counts_as_if_at_its_mean() -> None:
    """Of two near twins one goes on; the other has nothing to add then, and comes after all the others."""
    ops = {0: 1.0e6, 1: 1.001e6, 2: 3.0e5, 3: 1.1e7}
    miou = {0: 0.6, 1: 0.6, 2: 0.45, 3: 0.9}
    axis = Param(name="x", values=tuple(ops), default=0, search=tuple(ops))
    space = Space(name="twins", family="f", params=(axis,))
    asker = FreezeThaw(space, parse("miou,ops"), lambda g: {"ops": ops[int(g.values["x"])]}, epochs=9, num_first=4)
    which = {p.trial: int(p.genotype.values["x"]) for p in starts(asker, 4)}
    going_on = [t for t, x in which.items() if asker.observe(t, 1, {"miou": miou[x]}) is Decision.CONTINUE]
    order = [which[t] for t in (*going_on, *(p.trial for p in starts(asker, 4 - len(going_on))))]
    assert sorted(order) == [0, 1, 2, 3] and order[3] in (0, 1)


def test_a_pending_network_narrows_but_moves_no_mean() -> None:
    where = arena(60)
    asker = freeze(where, num_first=4)
    for proposal in starts(asker, 4):
        asker.observe(proposal.trial, 1, {"miou": 0.2})
    before = asker._model.predict([], asker._pending_keys())
    key = next(p.genotype.key for p in starts(asker, 3) if p.trial > 3)
    after = asker._model.predict([], asker._pending_keys())
    assert before and after
    assert after.standard_deviation[key] < 0.2 * before.standard_deviation[key]
    assert after.mean == before.mean


def test_one_action_in_ten_is_drawn_even_of_the_hopeless() -> None:
    where = arena(None)
    asker = freeze(where, num_first=6)
    first = starts(asker, 6)
    dear = sorted(first, key=lambda p: p.costs["ops"])[3:]
    for proposal in first:
        asker.observe(proposal.trial, 1, {"miou": 0.001 if proposal in dear else 0.9})
    assert any(p in dear for p in starts(asker, 25))


def test_a_search_in_which_all_fail_ends() -> None:
    where = arena(30)
    asker, waiting = freeze(where, num_first=4), 30
    while waiting and (proposal := asker.ask()) is not None:
        result = where.result(proposal.trial, proposal.genotype, Status.STOPPED, None)
        asker.tell(replace(result, status=Status.FAILED, error="E: broken"))
        waiting -= 1
    assert waiting == 0 and asker.ask() is None


class Cut:
    """Drives a strategy up to some call, keeping the record that a run would keep."""

    def __init__(self, inner: FreezeThaw, most: int) -> None:
        self.inner, self.left = inner, most
        self.proposals: list[Proposal] = []
        self.results: list[Any] = []
        self.reports: list[Observation] = []
        self.paused: set[int] = set()

    def ask(self) -> Proposal | None:
        proposal = self.inner.ask() if self.left else None
        if proposal and proposal not in self.proposals:
            self.proposals.append(proposal)
        elif proposal:
            self.paused.discard(proposal.trial)
        return proposal

    def observe(self, trial: int, epoch: int, values: Any, seconds: float = 0.0) -> Decision:
        self.left = max(0, self.left - 1)
        self.reports.append(Observation(trial, epoch, dict(values), seconds))
        decision = self.inner.observe(trial, epoch, values, seconds)
        if decision is Decision.PAUSE:
            self.paused.add(trial)
        return decision

    def tell(self, result: Any) -> None:
        self.results.append(result)
        self.paused.discard(result.trial)
        self.inner.tell(result)

    def restore(self, history: History) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("most", [5, 60, 150])
def test_a_restored_search_decides_as_it_would_have(most: int) -> None:
    where = arena(40)
    cut = Cut(freeze(where), most)
    replay(cut, where, until=math.inf)
    assert len(cut.reports) >= most
    second = freeze(where)
    proposals = [Proposal.from_document(p.document()) for p in cut.proposals]
    paused = frozenset(cut.paused)
    second.restore(History(proposals=proposals, results=cut.results, reports=cut.reports, paused=paused))
    for _ in range(6):
        pair = [cut.inner.ask(), second.ask()]
        expected, restored = [(p.trial, p.genotype.key) if p else None for p in pair]
        assert restored == expected


def test_a_large_space_is_sampled() -> None:
    nine = tuple(range(9))
    params = tuple(Param(name=f"x{i}", values=nine, default=0, search=nine) for i in range(4))
    space = Space(name="large", family="f", params=params)
    priced: list[str] = []

    def price(genotype: Genotype) -> dict[str, float]:
        priced.append(genotype.key)
        return {"ops": 1.0 + sum(float(v) for v in genotype.values.values())}

    asker = FreezeThaw(space, parse("miou,ops"), price, epochs=9)
    assert 1500 < len(set(priced)) == len(priced) <= MAX_POOL
    for proposal in starts(asker, 10):
        asker.observe(proposal.trial, 1, {"miou": 0.3})
    assert asker.ask()


def test_equal_seeds_give_equal_searches_others_do_not() -> None:
    def run(seed: int) -> Trajectory:
        where = arena(40)
        return replay(freeze(where, seed=seed), where, workers=2, until=0.9)

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize(
    ("objectives", "workers", "total_budget"),
    [
        ("miou,ops", 1, ENDLESS),
        ("miou,ops", 6, ENDLESS),
        ("miou,ops,params", 1, ENDLESS),
        ("miou", 2, ENDLESS),
        ("miou,ops", 1, TotalBudget(epochs=70)),
        ("miou,ops", 3, TotalBudget(epochs=100)),
        ("miou,ops", 2, TotalBudget(epochs=150, seconds=100)),
    ],
)
def test_arrays_decide_as_one_option_after_the_other(objectives: str, workers: int, total_budget: TotalBudget) -> None:
    where = arena(24, objectives)
    plain = PlainFreezeThaw(where.space, where.objectives, where.price, epochs=9, total_budget=total_budget)
    trajectory = replay(freeze(where, total_budget=total_budget), where, workers=workers, until=math.inf)
    assert trajectory == replay(plain, where, workers=workers, until=math.inf)
    assert (len(trajectory.moments) < 24) is (total_budget != ENDLESS)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("epochs", [9, 20, 60, 100])
def test_a_budget_of_epochs_is_kept_and_finishes_trainings(epochs: int, workers: int) -> None:
    where = arena(40)
    watched = Cut(freeze(where, total_budget=TotalBudget(epochs=epochs)), 10**9)
    trajectory = replay(watched, where, workers=workers, until=math.inf)
    reached = {report.trial: report.epoch for report in watched.reports}
    assert sum(reached.values()) <= epochs and trajectory.moments
    # What is left could finish none of the paused ones.
    assert all(9 - reached[t] > epochs - sum(reached.values()) for t in watched.paused)


def test_a_budget_of_time_is_kept_as_far_as_predicted() -> None:
    where = arena(40)
    unit = where.unit
    limited = replay(freeze(where, total_budget=TotalBudget(seconds=8 * unit)), where, until=math.inf)
    assert 6 * unit < limited.cost * unit < 9 * unit
    endless = replay(freeze(where), where, until=math.inf)
    assert len(limited.moments) > sum(m.cost <= limited.cost for m in endless.moments)


def test_with_a_budget_of_epochs_their_length_does_not_count() -> None:
    """Where the dear ones are worth more, but take longer still, the kind of budget decides."""

    def mean_ops(total_budget: TotalBudget) -> float:
        where = arena(60)
        asker = freeze(where, total_budget=total_budget)
        for proposal in starts(asker, 3):
            ops = proposal.costs["ops"]
            values = {"miou": 0.4 * math.log10(ops) - 2.0}
            asker.observe(proposal.trial, 3, values, ops**2 * 1e-10)
            end = Step(epoch=9, values=values, seconds=1.0)
            asker.tell(where.result(proposal.trial, proposal.genotype, Status.OK, end))
        return statistics.geometric_mean(p.costs["ops"] for p in starts(asker, 6))

    assert mean_ops(TotalBudget(epochs=10**6)) > 1.3 * mean_ops(ENDLESS)


def test_a_large_pool_refills_and_decisions_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (
        ("final_value.MAX_TRAINING_SET", 16),
        ("final_value.MAX_LINKED", 20),
        ("budget.MAX_TIMED", 20),
        ("final_value.MAX_PENDING", 4),
        ("freeze_thaw.MAX_PAUSED", 10),
        ("final_value.MAX_PREDICTED", 45),
    ):
        monkeypatch.setattr(f"irnas.search.strategy.{name}", most)
    table = made_table(None, epochs=9)
    where = Arena(table=table, objectives=parse("miou,ops"))
    asker = freeze(where, pool_size=40)
    trajectory = replay(asker, where, workers=8, until=math.inf)
    # Twenty tries to find one more fail towards the end of a space: nearly all of it comes.
    assert trajectory.started > 150 and len(asker._model.training_set()) <= 16
    posterior = asker._model.predict(asker._pool.keys[:7], [])
    assert posterior and len(posterior.mean) == 7 and len(asker._pool) > 45
    again = freeze(where, pool_size=40)
    again.restore(History(proposals=list(asker._proposals.values())))
    assert list(again._pool.keys) == list(asker._pool.keys)


def test_with_many_pending_not_each_decision_predicts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asker = freeze(arena(120), num_first=4)
    for proposal in starts(asker, 4):
        asker.observe(proposal.trial, 1, {"miou": 0.2})
    calls, predict = [], asker._model.predict
    monkeypatch.setattr(asker._model, "predict", lambda *a: calls.append(len(asker._pending)) or predict(*a))
    keys = [p.genotype.key for p in starts(asker, 100)]
    assert len(set(keys)) == 100
    few, many = [n for n in calls if n < 32], [n for n in calls if n >= 64]
    # One action in ten is drawn, whatever is predicted.
    assert len(few) >= 0.85 * 32 and len(many) <= 0.5 * len(range(64, 100))
