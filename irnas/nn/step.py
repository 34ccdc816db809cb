"""The arithmetic between the stages of an unrolled algorithm: sums of maps with signs, and steps of a learnt length."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Balance(nn.Module):
    """The sum of some maps minus each of some others.

    Args:
        plus: how many maps are added, at least 1; they come first.
        minus: how many are taken away.
    """

    def __init__(self, plus: int, minus: int) -> None:
        super().__init__()
        self.plus, self.minus = plus, minus

    def forward(self, *maps_nchw: Tensor) -> Tensor:
        """Maps of one shape to one map; a single one passes unchanged."""
        assert len(maps_nchw) == self.plus + self.minus, "one map for each sign"
        total_nchw = maps_nchw[0]
        for index, map_nchw in enumerate(maps_nchw[1:], 1):
            total_nchw = total_nchw + map_nchw if index < self.plus else total_nchw - map_nchw
        return total_nchw


class Step(nn.Module):
    """a - r g, a step from a against g; its length r is one learnt number.

    Args:
        start: r before training.
    """

    def __init__(self, start: float = 0.01) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.full((1,), start))

    def forward(self, a_nchw: Tensor, g_nchw: Tensor) -> Tensor:
        """Two maps of one shape to one of that shape."""
        return a_nchw - self.rate * g_nchw
