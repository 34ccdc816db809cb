from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from irnas.search.strategy.rank import best_first, crowding, ranks

POINTS = st.integers(1, 3).flatmap(
    lambda k: st.lists(st.tuples(*[st.integers(0, 5).map(float)] * k), min_size=1, max_size=14)
)


@given(POINTS)
@settings(max_examples=100, deadline=None)
def test_a_rank_is_one_above_the_best_that_dominates(points: list[tuple[float, ...]]) -> None:
    def rank(p: tuple[float, ...]) -> int:
        above = [q for q in points if q != p and all(x <= y for x, y in zip(q, p, strict=True))]
        return max((rank(q) + 1 for q in above), default=0)

    assert ranks(np.array(points)).tolist() == [rank(p) for p in points]


def test_crowding_by_hand() -> None:
    crowding_n = crowding(np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]]))
    assert crowding_n.tolist() == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 3 / 4, np.inf]
    assert crowding(np.array([[2.0], [2.0], [2.0]])).tolist() == [np.inf, 0.0, np.inf]


def test_rank_first_then_the_lonely_then_the_order() -> None:
    points = [(5.0, 5.0), (0.0, 4.0), (0.5, 3.5), (3.0, 1.0), (4.0, 0.0)]
    assert best_first(points) == [1, 4, 3, 2, 0]
    assert best_first([(1.0, 1.0), (1.0, 1.0)]) == [0, 1] and best_first([]) == []
