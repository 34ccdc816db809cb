from __future__ import annotations

import random
from dataclasses import replace

import pytest
from support.results import tiny_space
from support.strategies import answer, strategy

from irnas.core.errors import SpaceError
from irnas.core.space import MEMBER, Space
from irnas.core.union import unite


def both() -> Space:
    return unite([tiny_space(), replace(tiny_space(), name="other")])


def test_its_points_are_its_members_under_their_own_keys() -> None:
    one, two = both().members
    wanted = {p.key for p in one.points()} | {p.key for p in two.points()}
    points = list(both().points())
    assert {p.key for p in points} == wanted
    assert both().count() == len(points) == one.count() + two.count()
    assert {p.space for p in points} == {one.name, "other"}


def test_names_go_both_ways() -> None:
    space, rng = both(), random.Random(0)
    for _ in range(20):
        point = space.sample(rng)
        values = space.values_of(point)
        assert values[MEMBER] == point.space
        assert all(name == MEMBER or name.startswith(f"{point.space}.") for name in values)
        assert space.genotype(values) == point
    assert tiny_space().values_of(tiny_space().default()) == tiny_space().default().values


def test_it_survives_its_document_and_a_restriction() -> None:
    space = both()
    assert Space.from_document(space.document()) == space
    focused = space.focus({"other.base": (4,), MEMBER: ("other",)})
    assert {p.space for p in focused.points()} == {"other"}
    assert {p.values["base"] for p in focused.points()} == {4}
    assert Space.from_document(focused.document()).fingerprint == focused.fingerprint != space.fingerprint


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(SpaceError, match="must be two or more different names"):
        unite([tiny_space(), tiny_space()])
    with pytest.raises(SpaceError, match=r"other\.base: got 5"):
        both().complete({MEMBER: "other", "other.base": 5})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_sampler_walks_all_members(sampler: str) -> None:
    space = both()
    asker, seen = strategy(sampler, space), list[str]()
    while (proposal := asker.ask()) is not None:
        seen.append(proposal.genotype.key)
        asker.tell(answer(proposal))
    assert len(seen) == len(set(seen)) == space.count()


def test_a_sampler_hears_of_a_point_by_the_names_of_the_union() -> None:
    space = both()
    point = space.members[1].default()
    asker = strategy("tpe", space, first=[("published default", point)])
    proposal = asker.ask()
    assert proposal and proposal.genotype == point
    assert proposal.memory["asked"][0]["params"][MEMBER] == "other"
