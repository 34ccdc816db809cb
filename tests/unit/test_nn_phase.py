"""Four convolutions on the small map against doubling and one convolution on the large one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from irnas.nn.phase import PhaseConv2d


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3), (8, 8)])
def test_it_equals_doubling_and_convolution(size: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1, bias=bias).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    doubled = nn.Upsample(scale_factor=2, mode="nearest")(x)
    torch.testing.assert_close(PhaseConv2d(conv)(x), conv(doubled), rtol=1e-12, atol=1e-12)


def test_it_multiplies_four_ninths_as_often() -> None:
    phases = PhaseConv2d(nn.Conv2d(3, 4, 3, padding=1)).phases
    # Each output of the large map is made once, by one phase.
    assert [phase.weight[0].numel() for phase in phases] == [3 * 4] * 4


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": 0}, {"groups": 2}, {"dilation": 2}])
def test_other_convolutions_have_no_phases(options: dict[str, int]) -> None:
    with pytest.raises(AssertionError, match="no phases"):
        PhaseConv2d(nn.Conv2d(4, 4, 3, **{"padding": 1, **options}))  # type: ignore[arg-type]
