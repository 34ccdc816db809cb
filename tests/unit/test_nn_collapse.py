"""One convolution instead of two: exact at every size, the edges above all, where the two see zeros in between."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from irnas import cost
from irnas.nn.collapse import Collapsed
from irnas.nn.excite import SqueezeExcite


def pair(narrow: int, wide: int, seed: int = 0) -> tuple[nn.Sequential, Collapsed]:
    torch.manual_seed(seed)
    expand, project = nn.Conv2d(narrow, wide, 3, padding=1), nn.Conv2d(wide, 1, 3, padding=1)
    excite = SqueezeExcite(wide, 2)
    # Far from one half, so that the factors matter.
    nn.init.normal_(excite.excitation.expand.bias, std=2)
    together = nn.Sequential(expand, excite, project).double()
    return together, Collapsed(expand, excite, project).double()


@pytest.mark.parametrize(("height", "width"), [(9, 12), (1, 1), (1, 5), (4, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize(("narrow", "wide"), [(1, 3), (4, 8)])
def test_it_is_the_two_convolutions(narrow: int, wide: int, height: int, width: int) -> None:
    together, one = pair(narrow, wide)
    x = torch.randn(3, narrow, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(one(x), together(x), rtol=1e-12, atol=1e-12)


def test_it_costs_less_and_holds_the_same() -> None:
    together, one = pair(4, 32)
    before, after = (cost.count(each, (4, 64, 64)).total for each in (together, one))
    # One kernel of 25 taps for each narrow channel; the rest is a ring, and what does not grow with the image.
    ring, factors = 12 * 32 * (2 * (66 + 64)) + 3 * 32 * 4 * 64, 34 * 4 * 32 + 2 * 2 * 32
    assert after.macs == 25 * 4 * 64 * 64 + ring + factors
    assert before.macs > 8 * after.macs
    assert after.numbers == before.numbers and after.elementwise < before.elementwise
