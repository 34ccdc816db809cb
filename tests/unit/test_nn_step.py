from __future__ import annotations

import pytest
import torch

from irnas import cost
from irnas.nn.step import Balance, Step


@pytest.mark.parametrize(("plus", "minus", "wanted"), [(1, 0, 1.0), (3, 0, 111.0), (1, 2, -109.0), (2, 2, -1089.0)])
def test_the_first_are_added_and_the_others_taken_away(plus: int, minus: int, wanted: float) -> None:
    maps = [torch.full((1, 1, 2, 2), 10.0**i) for i in range(plus + minus)]
    assert torch.equal(Balance(plus, minus)(*maps), torch.full((1, 1, 2, 2), wanted))


def test_a_map_too_many_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        Balance(1, 0)(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))


def test_a_step_goes_against_its_direction_by_a_learnt_length() -> None:
    layer = Step(0.25)
    a, g = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)
    y = layer(a, g)
    assert torch.equal(y, torch.full((1, 1, 2, 2), 0.5))
    y.sum().backward()
    assert layer.rate.grad is not None and layer.rate.grad.item() == -8
    assert Step().rate.item() == pytest.approx(0.01)


def test_what_they_cost() -> None:
    assert cost.count(torch.nn.Sequential(Balance(1, 0)), (1, 4, 4)).total.elementwise == 0
    assert cost.count(torch.nn.Sequential(Balance(1, 0)), (1, 4, 4)).total.numbers == 0
