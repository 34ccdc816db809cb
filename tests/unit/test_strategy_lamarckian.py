"""The strategy that passes weights on: its children, their parents, what it trains on, and what it may spend."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from support.tables import made_table

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.heritage import LEAST_SHARE, NOT_TRAINED_ON, Heritage
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.core.space import Genotype
from irnas.core.union import unite
from irnas.search.strategy import History, Observation, SearchProblem
from irnas.search.strategy.lamarckian import MAX_GOES, NUM_FIRST, Lamarckian
from irnas.search.strategy.lineage import PRIOR_DEVIATION, PRIOR_GAIN, Lineage
from irnas.search.strategy.variation import cross, mutate
from irnas.simulation.simulator import Arena, replay

EPOCHS = 9
ARENA = Arena(table=made_table(40, epochs=EPOCHS), objectives=parse("miou,ops"))


def problem(epochs: float = 10_000) -> SearchProblem:
    return replace(ARENA.problem(0), num_trials=8, total_budget=TotalBudget(epochs=epochs))


def train(
    strategy: Lamarckian,
    proposal: Proposal,
    before: Result | None = None,
    miou: float | None = None,
    epochs: int | None = None,
) -> Result:
    """Report and end a training, as a session would."""
    epochs = (epochs or (3 if proposal.parent or before else EPOCHS)) + (before.epochs if before else 0)
    values = dict(ARENA.visible_curve(proposal.key)[-1].values)
    values |= {} if miou is None else {"miou": miou}
    strategy.observe(proposal.trial, epochs, values, 1.0)
    line = epochs + (proposal.parent.epochs if proposal.parent else 0)
    heritage = Heritage(parent="p", share=1.0, epochs=line) if proposal.parent or before else None
    result = Result(
        trial=proposal.trial,
        genotype=proposal.genotype,
        status=Status.OK,
        values={**proposal.costs, **values},
        epochs=epochs,
        seed=0,
        data_rev="d",
        code_rev="c",
        seconds=1.0,
        heritage=heritage,
    )
    strategy.tell(result)
    return result


@pytest.mark.parametrize("name", ["biisnet", "sgem_unet"])
def test_a_mutant_differs_on_the_axes_that_were_changed_and_lies_in_the_space(name: str) -> None:
    space, rng = catalog.load(name).focus(), random.Random(0)
    for number in (1, 2):
        for _ in range(20):
            parent = space.sample(rng)
            child = mutate(space, parent, rng, number)
            assert space.genotype(child.values) == child != parent
            both = parent.values.keys() & child.values.keys()
            changed = {axis for axis in both if parent.values[axis] != child.values[axis]}
            assert 1 <= len(changed) <= number or child.values.keys() != parent.values.keys()


def test_a_cross_has_each_axis_from_one_of_its_parents() -> None:
    space, rng = catalog.load("biisnet").focus(), random.Random(0)
    for _ in range(20):
        first, second = space.sample(rng), space.sample(rng)
        child = cross(space, first, second, rng)
        assert space.genotype(child.values) == child
        for axis, value in child.values.items():
            known = [parent.values[axis] for parent in (first, second) if axis in parent.values]
            assert not known or value in known


def test_families_are_mutated_and_crossed_into_networks_of_either() -> None:
    spaces = [catalog.load(name).focus() for name in ("biisnet", "sgem_unet")]
    space, rng = unite(spaces), random.Random(0)
    first, second = (each.sample(rng) for each in spaces)
    children = [cross(space, first, second, rng) for _ in range(20)]
    assert {child.family for child in children} == {"biisnet", "sgem_unet"}
    assert {mutate(space, first, rng, 1).family for _ in range(200)} == {"biisnet", "sgem_unet"}


def test_the_first_are_trained_in_full_and_all_others_inherit_or_are_trained_on() -> None:
    strategy, results = Lamarckian(replace(problem(), num_trials=16)), dict[int, Result]()
    first = [strategy.ask() for _ in range(NUM_FIRST)]
    assert all(proposal and proposal.parent is None for proposal in first)
    for proposal in first:
        assert proposal
        results[proposal.trial] = train(strategy, proposal)
    keys = {result.key for result in results.values()}
    again = 0
    for _ in range(20):
        proposal = strategy.ask()
        assert proposal
        before = results.get(proposal.trial)
        if before:
            again += 1
            assert before.key == proposal.key
        else:
            assert proposal.key not in keys and proposal.parent and proposal.parent.key in keys
            lines = {result.key: result.line_epochs for result in results.values()}
            assert proposal.parent.epochs == lines[proposal.parent.key]
        results[proposal.trial] = train(strategy, proposal, before)
        keys.add(proposal.key)
    assert 0 < again < 20


def test_what_training_on_brought_is_learnt() -> None:
    lineage = Lineage(ARENA.space, parse("miou")[0], parse("ops"), 3)
    strategy = Lamarckian(problem())
    strategy._lineage = lineage
    assert lineage.gain() == (PRIOR_GAIN, PRIOR_DEVIATION)
    proposal = Proposal(trial=0, genotype=ARENA.table.points[0].genotype, costs={"ops": 1e6}, origin="t")
    lineage.propose(proposal)
    before = train(strategy, proposal, miou=0.4)
    for step in range(1, 4):
        lineage.train_on(0)
        before = train(strategy, proposal, before, miou=0.4 + 0.1 * step)
    # Three gains of 0.1 beside three of the prior.
    assert lineage.gain()[0] == pytest.approx((0.3 + 3 * PRIOR_GAIN) / 6)
    assert before.epochs == EPOCHS + 9 and lineage.num_asked == 4


def test_a_network_that_got_worse_gives_way_on_the_front() -> None:
    lineage = Lineage(ARENA.space, parse("miou")[0], parse("ops"), 3)
    strategy = Lamarckian(problem())
    strategy._lineage = lineage
    ends = []
    for trial, (point, miou) in enumerate(zip(ARENA.table.points, (0.5, 0.4), strict=False)):
        lineage.propose(Proposal(trial=trial, genotype=point.genotype, costs={"ops": 1e6}, origin="t"))
        ends.append(train(strategy, lineage.proposals[trial], miou=miou))
    assert lineage.front == [0]
    lineage.train_on(0)
    assert not lineage.can_be_trained_on(0), "it is at work"
    train(strategy, lineage.proposals[0], ends[0], miou=0.3)
    assert lineage.front == [1] and lineage.can_be_trained_on(0)
    lineage.end(replace(ends[0], note=f"{NOT_TRAINED_ON}: E: x"))
    assert lineage.front == [0] and not lineage.can_be_trained_on(0)


@pytest.mark.parametrize("free", ["ops", "ops,params"])
def test_the_front_is_that_of_all_whatever_training_on_brings(free: str) -> None:
    rng, costs = random.Random(0), parse(free)
    lineage = Lineage(ARENA.space, parse("miou")[0], costs, 3)
    strategy = Lamarckian(problem())
    strategy._lineage = lineage
    ends: dict[int, Result] = {}
    for _ in range(120):
        trial = rng.randrange(30)
        if trial in ends:
            lineage.train_on(trial)
        else:
            genotype = ARENA.table.points[trial].genotype
            priced = {o.name: float(10 ** rng.randint(3, 6)) for o in costs}
            lineage.propose(Proposal(trial=trial, genotype=genotype, costs=priced, origin="t"))
        ends[trial] = train(strategy, lineage.proposals[trial], ends.get(trial), miou=rng.randint(1, 9) / 10)
        points = {t: (-lineage.value(t), *lineage.costs(t)) for t in ends}
        better = {t: [o for o in points if all(map(float.__le__, points[o], points[t]))] for t in points}
        alone = {t for t in points if all(points[o] == points[t] and o >= t for o in better[t])}
        assert set(lineage.front) == alone


@pytest.mark.parametrize("epochs", [4 * EPOCHS, 4 * EPOCHS + 7, 3 * EPOCHS - 1])
def test_nothing_is_begun_that_the_budget_cannot_end(epochs: int) -> None:
    strategy, spent, results = Lamarckian(problem(epochs)), 0, dict[int, Result]()
    while proposal := strategy.ask():
        before = results.get(proposal.trial)
        spent += 3 if proposal.parent or before else EPOCHS
        results[proposal.trial] = train(strategy, proposal, before)
    assert epochs - EPOCHS < spent <= epochs
    # What is at work counts before it has reported anything.
    strategy, asked = Lamarckian(problem(epochs)), 0
    while strategy.ask():
        asked += 1
    assert asked == epochs // EPOCHS


def share(child: Genotype, parent: Genotype) -> float:
    """One network in eight has enough from any parent."""
    return 0.2 if int(child.key, 16) % 8 else 0.9


def planned(proposal: Proposal, before: Result | None = None) -> int:
    """Epochs for which a worker would train it."""
    is_heir = before or (proposal.parent and share(proposal.genotype, proposal.genotype) > LEAST_SHARE)
    return 3 if is_heir else EPOCHS


@pytest.mark.parametrize("epochs", [6 * EPOCHS, 6 * EPOCHS + 7])
def test_an_heir_that_inherits_too_little_is_paid_for_in_full(epochs: int) -> None:
    strategy, spent, results = Lamarckian(replace(problem(epochs), share=share)), 0, dict[int, Result]()
    in_full = 0
    while proposal := strategy.ask():
        before = results.get(proposal.trial)
        length = planned(proposal, before)
        in_full += length == EPOCHS and proposal.parent is not None
        spent += length
        results[proposal.trial] = train(strategy, proposal, before, epochs=length)
    assert in_full and epochs - EPOCHS < spent <= epochs


def test_heirs_at_work_owe_what_they_were_proposed_for_after_a_restart_too() -> None:
    epochs, results, reports = 6 * EPOCHS, list[Result](), list[Observation]()
    strategy = Lamarckian(replace(problem(epochs), share=share))
    proposals = list(itertools.islice(iter(strategy.ask, None), 2))
    for proposal in proposals:
        results.append(train(strategy, proposal))
        reports.append(Observation(proposal.trial, EPOCHS, results[-1].values, 1.0))
    asked = list(iter(strategy.ask, None))
    at_work = [each for each in asked if each.trial >= len(results)]
    lengths = [planned(each) for each in at_work]
    of_front = 3 * (len(asked) - len(at_work))
    assert {3, EPOCHS} == set(lengths) and epochs - EPOCHS < 2 * EPOCHS + sum(lengths) + of_front <= epochs
    restored = Lamarckian(replace(problem(epochs), share=share))
    restored.restore(History(proposals=[*proposals, *at_work], results=results, reports=reports))
    for each, length in zip(at_work, lengths, strict=True):
        assert restored._owed(each.trial) == strategy._owed(each.trial) == length
    # One whose parent's weights are gone goes on past the few epochs, and then owes a full training.
    short = next(each for each, length in zip(at_work, lengths, strict=True) if length == 3)
    restored.observe(short.trial, 4, {"miou": 0.1})
    assert restored._owed(short.trial) == EPOCHS - 4


def test_of_few_trainings_few_are_in_full() -> None:
    # Three planned: two in full, and the epochs of the third for children and the front.
    strategy = Lamarckian(replace(problem(3 * EPOCHS), num_trials=3))
    results, is_short = dict[int, Result](), []
    while proposal := strategy.ask():
        before = results.get(proposal.trial)
        is_short.append(proposal.parent is not None or before is not None)
        results[proposal.trial] = train(strategy, proposal, before)
    assert is_short == [False, False, True, True, True]


def test_a_search_of_a_small_space_ends() -> None:
    trajectory = replay(Lamarckian(ARENA.problem(0)), ARENA, workers=2, until=2.0)
    assert trajectory.started == 40 and 0 < trajectory.resumed <= 40 * MAX_GOES
    assert trajectory.moments[-1].share == pytest.approx(1.0)
    # First ones in full, heirs for a third, as is declared.
    assert trajectory.cost < 40


def test_it_needs_exactly_one_objective_to_train_for_and_counts_epochs() -> None:
    with pytest.raises(
        SettingsError, match="lamarckian: got miou, pd as objectives that need training; must be exactly"
    ):
        Lamarckian(replace(problem(), objectives=parse("miou,pd,ops")))
    settings = SearchSettings(space="biisnet", strategy="lamarckian", trials=4)
    assert settings.total_budget.epochs == 40 and settings.is_multi_fidelity
    with pytest.raises(SettingsError, match="grace_period"):
        replace(settings, grace_period=2)
