from __future__ import annotations

import math

from support.results import tiny_space
from support.tables import SPACE

from irnas.search.strategy.feature import features

HALF = math.sqrt(0.5)


def test_features_by_hand() -> None:
    small = SPACE.genotype({"width": 8, "depth": 4, "kind": "cat", "attention": False})
    large = SPACE.genotype({"width": 24, "depth": 1, "kind": "add", "attention": True, "ratio": 4})
    assert features(SPACE, small) == (2 / 5, 1.0, 0.0, HALF, 0.0, 0.0, -0.5)
    assert features(SPACE, large) == (1.0, 0.0, HALF, 0.0, 0.0, 1.0, 1.0)


def test_a_value_outside_the_search_counts_as_the_nearest() -> None:
    narrow = tiny_space().restrict({"base": (4, 8), "stages": (2, 3)})
    outside = tiny_space().genotype({"stages": 2, "base": 16, "kind": "DB"})
    assert features(narrow, outside) == (0.0, 1.0, -0.5, 0.0, HALF)


def test_an_axis_that_is_held_is_left_out() -> None:
    held = tiny_space().restrict({"base": (8,)})
    assert len(features(held, held.default())) == len(features(tiny_space(), tiny_space().default())) - 1
