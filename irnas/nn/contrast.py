"""How far a pixel stands out of what surrounds it, at several scales."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
        return torch.cat([GAIN * (x_n1hw - _mean(x_n1hw, side)) for side in self.sides], 1)


def _mean(x_n1hw: Tensor, side: int) -> Tensor:
    """The mean over a square around each pixel, [N, 1, H, W]: along rows and then along columns, which is the same."""
    reach = side // 2
    rows = F.avg_pool2d(x_n1hw, (1, side), 1, (0, reach), count_include_pad=False)
    return F.avg_pool2d(rows, (side, 1), 1, (reach, 0), count_include_pad=False)
