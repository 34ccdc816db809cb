from __future__ import annotations

import pytest
from support.results import tiny_space
from support.strategies import answer, strategy, wide_space

from irnas.core.errors import SettingsError
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.strategies import STRATEGIES
from irnas.search.strategy import History
from irnas.search.strategy.optuna_sampler import WINDOW, SamplerStrategy

SAMPLERS = [name for name, entry in STRATEGIES.items() if entry.module == "optuna_sampler"]


def test_a_row_without_a_sampler_is_not_drawn_at_random() -> None:
    with pytest.raises(SettingsError, match="sampler: got 'grid'; one of tpe, nsga2, nsga3, gp, random"):
        strategy("grid")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_proposes_each_network_once(sampler: str) -> None:
    space = tiny_space().restrict({"base": (4, 8)}) if sampler == "gp" else tiny_space()  # the Gaussian process is slow
    asker, keys = strategy(sampler, space), list[str]()
    while (proposal := asker.ask()) is not None:
        keys.append(proposal.genotype.key)
        asker.tell(answer(proposal))
    assert len(keys) == len(set(keys)) == space.count()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_copes_with_failed_and_pending_trials(sampler: str) -> None:
    asker = strategy(sampler)
    proposals = [asker.ask() for _ in range(6)]
    assert all(proposals) and len({p.genotype.key for p in proposals if p}) == 6
    for proposal in proposals[:4]:
        assert proposal
        asker.tell(answer(proposal, status=Status.FAILED if proposal.trial % 2 else Status.OK))
    assert asker.ask()


@pytest.mark.parametrize(("sampler", "window"), [*((s, None) for s in SAMPLERS), ("tpe", 3)])
@pytest.mark.parametrize("cut", [3, 9])
def test_a_restored_sampler_proposes_what_it_would_have(
    sampler: str, window: int | None, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if window:
        monkeypatch.setitem(WINDOW, sampler, window)

    def go_on(asker: SamplerStrategy, waiting: list[Proposal], steps: int) -> list[str]:
        keys = []
        for _ in range(steps):
            proposal = asker.ask()
            assert proposal
            keys.append(proposal.genotype.key)
            waiting.append(proposal)
            # Two are always pending, as with two workers.
            if len(waiting) > 2:
                asker.tell(answer(waiting.pop(0)))
        return keys

    uninterrupted, waiting = strategy(sampler, wide_space(), num_trials=20), list[Proposal]()
    expected = go_on(uninterrupted, waiting, 16)

    first, waiting, proposals, results = strategy(sampler, wide_space(), num_trials=20), [], [], []
    for _ in range(cut):
        proposal = first.ask()
        assert proposal
        proposals.append(Proposal.from_document(proposal.document()))
        waiting.append(proposal)
        if len(waiting) > 2:
            results.append(answer(waiting.pop(0)))
            first.tell(results[-1])
    second = strategy(sampler, wide_space(), num_trials=20)
    second.restore(History(proposals=proposals, results=results))
    assert go_on(second, waiting, 16 - cut) == expected[cut:]


def test_a_sampler_keeps_a_bounded_number_of_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WINDOW, "tpe", 5)
    asker, known = strategy("tpe", wide_space()), []
    for _ in range(23):
        proposal = asker.ask()
        assert proposal
        known.append(len(asker._study.get_trials(deepcopy=False)))
        asker.tell(answer(proposal))
    assert max(known) <= 10 and known[-1] >= 5


def test_the_parents_of_a_generation_are_recorded_once() -> None:
    asker, written = strategy("nsga2", wide_space(), num_trials=16), list[str]()
    for _ in range(24):
        proposal = asker.ask()
        assert proposal
        written += proposal.memory["study"]
        asker.tell(answer(proposal))
    assert len(written) == len(set(written)) > 1


def test_equal_seeds_give_equal_proposals_others_do_not() -> None:
    def keys(seed: int) -> list[str]:
        asker = strategy("tpe", wide_space(), seed=seed)
        return [p.genotype.key for _ in range(8) if (p := asker.ask())]

    assert keys(1) == keys(1) != keys(2)


def test_a_network_beyond_a_limit_is_proposed_as_refused() -> None:
    asker = strategy("tpe", limits={"ops": 2.0e7})
    proposals = []
    while (proposal := asker.ask()) is not None:
        proposals.append(proposal)
        asker.tell(answer(proposal, status=Status.REJECTED if proposal.refused else Status.OK))
    assert {bool(p.refused) for p in proposals} == {True, False}
    assert all(bool(p.refused) == (p.costs["ops"] > 2.0e7) for p in proposals)
    assert "ops: got 2.4e+07; must be at most 2e+07" in {p.refused for p in proposals}


def test_first_points_come_first_though_not_searched() -> None:
    narrow = tiny_space().restrict({"base": (4, 8)})
    outside = tiny_space().complete({"base": 16})
    inside = narrow.complete({"base": 4, "kind": "DB"})
    asker = strategy("tpe", narrow, first=[("published A", outside), ("published B", inside), ("published A", outside)])
    proposals = [asker.ask() for _ in range(3)]
    assert [p.origin for p in proposals if p][:2] == ["published A", "published B"]
    assert proposals[2] and proposals[2].origin == "tpe"
    for proposal in proposals:
        assert proposal
        asker.tell(answer(proposal))


def test_tpe_beats_even_draws_on_a_slope() -> None:
    """TPE must reach more of the good corner than even draws do, so the study learns the right values."""

    def best(sampler: str, seed: int) -> float:
        asker, mious = strategy(sampler, wide_space(), seed=seed, num_trials=40), []
        for _ in range(40):
            proposal = asker.ask()
            assert proposal
            miou = sum(float(proposal.genotype.values[f"x{i}"]) for i in range(4)) / 32
            result = answer(proposal)
            asker.tell(Result.from_document({**result.document(), "values": {**result.values, "miou": miou}}))
            mious.append(miou)
        return sum(sorted(mious)[-10:]) / 10

    assert sum(best("tpe", s) > best("random", s) for s in range(5)) >= 4
