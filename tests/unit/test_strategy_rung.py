from __future__ import annotations

import pytest

from irnas.core.errors import SettingsError
from irnas.search.strategy.rung import Ladder, rungs


@pytest.mark.parametrize(
    ("epochs", "grace_period", "reduction_factor", "expected"),
    [
        (27, 3, 3, (3, 9)),
        (28, 3, 3, (3, 9)),
        (10, 1, 2, (1, 2, 4)),
        (1, 1, 3, ()),
        (5, 5, 3, ()),
        (9, 7, 3, (7,)),
        (27, None, 3, (3, 9)),
        (18, None, 3, (2, 6)),
        (10, None, 3, (2, 4)),
        (9, None, 3, (1, 3)),
        (3, None, 3, (1,)),
        (2, None, 3, (1,)),
        (1, None, 3, ()),
    ],
)
def test_rungs_lie_well_before_the_end(
    epochs: int, grace_period: int | None, reduction_factor: int, expected: tuple[int, ...]
) -> None:
    assert rungs(epochs, grace_period, reduction_factor) == expected


@pytest.mark.parametrize(("grace_period", "reduction_factor"), [(0, 3), (1, 1)])
def test_wrong_rungs(grace_period: int, reduction_factor: int) -> None:
    with pytest.raises(SettingsError, match=r"^rungs: got grace_period"):
        rungs(9, grace_period, reduction_factor)


def test_the_first_report_from_a_rung_on_reaches_it_once() -> None:
    ladder = Ladder((2, 4))
    assert [ladder.climb(7, epoch, {"miou": epoch / 10}) for epoch in (1, 3, 4, 5)] == [None, 0, 1, None]
    assert ladder.values == ({7: {"miou": 0.3}}, {7: {"miou": 0.4}})
    assert ladder.height(7) == 2 and ladder.height(8) == 0
    assert ladder.climb(8, 9, {"miou": 0.9}) == 1 and ladder.height(8) == 2
