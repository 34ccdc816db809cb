from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from support.tables import made_table

from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.search.strategy import Decision, History, Observation
from irnas.search.strategy.halving import Halving
from irnas.search.strategy.optuna_sampler import SamplerStrategy
from irnas.simulation.simulator import Arena, replay

OBJECTIVES = parse("miou,ops")


def arena(num_points: int = 30, **changes: Any) -> Arena:
    return Arena(table=made_table(num_points, epochs=9, **changes), objectives=OBJECTIVES)


def halving(where: Arena, seed: int = 0, **changes: Any) -> Halving:
    inner = SamplerStrategy(where.space, OBJECTIVES, where.price, sampler="random", seed=seed)
    return Halving(inner, OBJECTIVES, epochs=9, **changes)


def start(asker: Halving, number: int) -> list[Proposal]:
    proposals = []
    for _ in range(number):
        proposal = asker.ask()
        assert proposal
        proposals.append(proposal)
    return proposals


def by_rank(proposals: Sequence[Proposal]) -> list[int]:
    """Trials from the cheapest on: with a miou of rank order no one dominates another."""
    return [p.trial for p in sorted(proposals, key=lambda p: p.costs["ops"])]


def test_a_third_is_promoted_and_the_dominated_are_not() -> None:
    where = arena()
    asker = halving(where)
    proposals = start(asker, 6)
    cheap = by_rank(proposals)
    # The cheapest two are the best two: all others are dominated.
    for proposal in proposals:
        good = {cheap[0]: 0.5, cheap[1]: 0.6}.get(proposal.trial, 0.1)
        assert asker.observe(proposal.trial, 1, {"miou": good}) is Decision.PAUSE
    going_on = start(asker, 2)
    assert {p.trial for p in going_on} == set(cheap[:2]) and all(p in proposals for p in going_on)
    fresh = start(asker, 1)[0]
    assert fresh not in proposals
    assert asker.observe(cheap[0], 2, {"miou": 0.5}) is Decision.CONTINUE
    assert asker.observe(cheap[0], 3, {"miou": 0.5}) is Decision.PAUSE


def test_higher_rungs_go_first() -> None:
    asker = halving(arena())
    proposals = start(asker, 12)
    for proposal in proposals[:9]:
        asker.observe(proposal.trial, 1, {"miou": 0.1 + proposal.trial / 100})
    raised = start(asker, 3)
    for proposal in raised:
        asker.observe(proposal.trial, 3, {"miou": 0.5})
    for proposal in proposals[9:]:
        asker.observe(proposal.trial, 1, {"miou": 0.9})
    assert start(asker, 1)[0] in raised
    assert start(asker, 1)[0] not in raised


def test_the_order_of_arrival_does_not_count() -> None:
    def promoted(order: Sequence[int]) -> list[int]:
        asker = halving(arena())
        start(asker, 9)
        for trial in order:
            asker.observe(trial, 1, {"miou": 0.1 + (trial * 7 % 9) / 20})
        return [p.trial for p in start(asker, 3)]

    assert promoted(range(9)) == promoted(range(8, -1, -1)) == promoted([4, 0, 8, 2, 6, 1, 7, 3, 5])


def test_an_ended_trial_is_not_proposed_again() -> None:
    where = arena()
    asker = halving(where)
    proposals = start(asker, 3)
    for proposal in proposals:
        asker.observe(proposal.trial, 1, {"miou": 0.5})
        first = where.visible_curve(proposal.genotype.key)[0]
        asker.tell(where.result(proposal.trial, proposal.genotype, Status.STOPPED, first))
    assert start(asker, 1)[0] not in proposals
    assert asker.observe(3, 9, {"miou": 0.5}) is Decision.PAUSE, "rungs 1 and 3, seen for the first time"
    assert asker.observe(3, 9, {"miou": 0.5}) is Decision.CONTINUE


@pytest.mark.parametrize("least", [1, 20, 45, 90])
def test_a_restored_search_decides_as_it_would_have(least: int) -> None:
    where = arena()
    tape = Tape(halving(where))
    replay(tape, where, until=math.inf)
    # Where nothing is at work, so that what happened before is the whole state.
    cut = next(i for i in range(least, len(tape.calls)) if tape.calls[i][0] == "ask")
    past, second = tape.calls[:cut], halving(where)
    made = {call.trial: call for kind, call, _ in past if kind == "ask"}
    paused = set[int]()
    for kind, call, answer in past:
        if answer is Decision.PAUSE:
            paused.add(call[0])
        elif kind == "ask":
            paused.discard(answer)
    second.restore(
        History(
            proposals=[Proposal.from_document(p.document()) for p in made.values()],
            results=[call for kind, call, _ in past if kind == "tell"],
            reports=[Observation(*call) for kind, call, _ in past if kind == "observe"],
            paused=frozenset(paused),
        )
    )
    for kind, call, answer in tape.calls[cut:]:
        if kind == "ask":
            proposal = second.ask()
            assert (proposal and proposal.trial) == answer
        elif kind == "observe":
            assert second.observe(*call) == answer
        else:
            second.tell(call)


def test_a_trial_paused_below_the_first_rung_waits_at_it() -> None:
    where = arena(4)
    proposals = start(halving(where), 4)
    reports = [Observation(p.trial, 1, {"miou": 0.1 * p.trial}) for p in proposals]
    asker = halving(where, grace_period=3)
    asker.restore(History(proposals=proposals, reports=reports, paused=frozenset(range(4))))
    again = start(asker, 4)
    assert sorted(p.trial for p in again) == [0, 1, 2, 3]
    # Each goes on from where it was, and is seen at the rung as it was then.
    assert asker.observe(again[0].trial, 3, {"miou": 0.9}) is Decision.CONTINUE


class Tape:
    """A strategy that keeps every call and its answer."""

    def __init__(self, inner: Halving) -> None:
        self._inner = inner
        self.calls: list[tuple[str, Any, Any]] = []

    def ask(self) -> Proposal | None:
        proposal = self._inner.ask()
        self.calls.append(("ask", proposal, proposal and proposal.trial))
        return proposal

    def observe(self, *report: Any) -> Decision:
        decision = self._inner.observe(*report)
        self.calls.append(("observe", report, decision))
        return decision

    def tell(self, result: Result) -> None:
        self._inner.tell(result)
        self.calls.append(("tell", result, None))

    def restore(self, history: History) -> None:
        raise NotImplementedError


def test_of_very_many_only_the_newest_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irnas.search.strategy.halving.MAX_RANKED", 6)
    asker = halving(arena())
    proposals = start(asker, 12)
    for proposal in proposals:
        asker.observe(proposal.trial, 1, {"miou": 0.9 if proposal.trial < 6 else 0.1})
    # Two of the six newest; the older ones, better as they are, are left where they halted.
    promoted = [p.trial for p in start(asker, 3)]
    assert promoted[:2] == by_rank(proposals[6:])[:2] and promoted[2] == 12
