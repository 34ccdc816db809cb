"""How far a pixel stands out of what surrounds it, at several scales."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.nn import fused

SIDES = (5, 11, 23, 47)
"""Sides of the squares in pixels, the finest first; each about twice the one before."""
GAIN = 4.0
"""Contrasts are small beside grey levels of 0..1."""


class LocalContrast(nn.Module):
    """The difference of a pixel and the mean of a square around it, times ``GAIN``; one channel for each square.

    A mean is that of the pixels which lie in the image. Detectors of small targets compare a pixel with its surround
    at several scales (Chen et al., 2014, local contrast measure; Wei et al., 2016, multiscale patch-based contrast
    measure). Signs cannot: the sign of a grey level says nothing, and a window of signs has no scale but its own.
    """

    def __init__(self, scales: int) -> None:
        super().__init__()
        self.sides = SIDES[:scales]

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, scales, H, W]; channels after the first are not looked at."""
        x_n1hw = x_nchw[:, :1]
        means = _means_from_sums(x_n1hw, self.sides) if fused.takes_part(self) else _means(x_n1hw, self.sides)
        return torch.cat([GAIN * (x_n1hw - mean_n1hw) for mean_n1hw in means], 1)


def _means(x_n1hw: Tensor, sides: tuple[int, ...]) -> Iterator[Tensor]:
    """The mean over each square around each pixel, [N, 1, H, W]: along rows, then along columns, which is the same."""
    for side in sides:
        reach = side // 2
        rows = F.avg_pool2d(x_n1hw, (1, side), 1, (0, reach), count_include_pad=False)
        yield F.avg_pool2d(rows, (side, 1), 1, (reach, 0), count_include_pad=False)


def _means_from_sums(x_n1hw: Tensor, sides: tuple[int, ...]) -> Iterator[Tensor]:
    """The same but for rounding, in a quarter of the time: each is four sums over all that lies above and to the left,
    whatever the side."""
    sums = F.pad(x_n1hw.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
    for side in sides:
        (top, bottom), (left, right) = (_ends(length, side, x_n1hw.device) for length in x_n1hw.shape[2:])
        rows = sums.index_select(2, bottom) - sums.index_select(2, top)
        area = (bottom - top)[:, None] * (right - left)
        yield ((rows.index_select(3, right) - rows.index_select(3, left)) / area).to(x_n1hw.dtype)


def _ends(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the span around each place of a line begins, and where it has ended."""
    places, reach = torch.arange(length, device=device), side // 2
    return (places - reach).clamp(min=0), (places + reach + 1).clamp(max=length)
