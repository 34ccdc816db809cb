from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.results import tiny_space

from irnas.core.errors import SpaceError
from irnas.core.space import Genotype, Param, Space


def document(**changes: Any) -> dict[str, Any]:
    return {**tiny_space().document(), **changes}


def test_count_is_the_number_of_points() -> None:
    space = tiny_space()
    points = list(space.points())
    assert space.count() == len(points) == 3 * 2 * (1 + 3)
    assert len({p.key for p in points}) == len(points)
    assert space.focus().count() == len(list(space.focus().points())) == 3 * 2 * (1 + 2)


def test_a_condition_removes_the_parameter() -> None:
    space = tiny_space()
    assert "deep" not in space.complete({"stages": 2}).values
    assert space.complete({"stages": 3}).values["deep"] == 0


@given(st.integers(0, 2**32))
def test_samples_are_members(seed: int) -> None:
    space = tiny_space()
    genotype = space.sample(random.Random(seed))
    assert space.genotype(genotype.values) == genotype
    assert Genotype.from_document(genotype.document()) == genotype


def test_a_key_depends_on_the_values_only() -> None:
    wide, narrow = tiny_space(), tiny_space().restrict({"kind": ("BC",)})
    values = {"stages": 2, "base": 8, "kind": "BC"}
    assert wide.genotype(values).key == narrow.genotype(dict(reversed(values.items()))).key
    assert wide.fingerprint != narrow.fingerprint


def test_a_key_is_the_same_in_another_process() -> None:
    code = "from support.results import tiny_space; print(tiny_space().default().key)"
    root = __file__.rsplit("/", 2)[0]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0]={[root, *sys.path]!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == tiny_space().default().key


def test_restricting_a_parent_drops_its_children() -> None:
    space = tiny_space().restrict({"stages": (2,)})
    assert [p.name for p in space.params] == ["stages", "base", "kind"]
    assert tiny_space().restrict({"base": (4, 16)})["base"].default == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": 2, "base": 8}, "tiny.kind: got nothing; one of BC, DB"),
        ({"stages": 2, "base": 5, "kind": "BC"}, "tiny.base: got 5; one of 4, 8, 16"),
        ({"stages": 2, "base": 8, "kind": "BC", "deep": 0}, "tiny.deep: got 0; must be left out here"),
        ({"stages": 3, "base": 8, "kind": "BC", "deep": True}, "tiny.deep: got True; one of 0, 1, 2"),
        ({"stages": 2, "base": 8, "kind": "BC", "wings": 2}, "got parameter 'wings'"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match="^.*" + message.replace("(", r"\(")):
        tiny_space().genotype(values)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ({"name": "x", "values": []}, "got no values"),
        ({"name": "x", "values": [1, "a"]}, "mixed types"),
        ({"name": "x", "values": [1, 1]}, "duplicates"),
        ({"name": "x", "values": [1, 2], "default": 3}, "got 3; one of 1, 2"),
        ({"name": "x", "values": [1, 2], "search": [4]}, "got 4; one of 1, 2"),
        ({"name": "x", "values": [1], "when": {"later": [1]}}, "must be an earlier parameter"),
        ({"name": "x", "values": [1], "colour": "red"}, "unknown field 'colour'"),
        ({"name": "two words", "values": [1]}, "no identifier"),
    ],
)
def test_wrong_declarations_are_refused(param: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space.from_document(document(params=[param]))


def test_search_values_do_not_change_what_a_space_is() -> None:
    params = tiny_space().params
    other = [
        Param(**{f: getattr(p, f) for f in ("name", "values", "default", "when")}, search=p.values) for p in params
    ]
    assert Space(name="tiny", family="biisnet", params=tuple(other)).fingerprint == tiny_space().fingerprint
