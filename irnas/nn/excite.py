"""Squeeze and excite: each channel times a factor that the means of all channels decide (Hu et al., 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SpatialMean(nn.Module):
    """The mean of each channel over all pixels."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, 1, 1]."""
        return F.adaptive_avg_pool2d(x_nchw, 1)


class Scale(nn.Module):
    """A map times one factor per image and channel."""

    def forward(self, x_nchw: Tensor, factor_nc11: Tensor) -> Tensor:
        """[N, c, H, W] and [N, c, 1, 1] to [N, c, H, W]."""
        return x_nchw * factor_nc11


class Excitation(nn.Module):
    """Means of channels to factors in 0..1: two 1x1 convolutions with biases, ReLU between them, sigmoid at the end.

    Args:
        channels: means that come in, and factors that go out.
        hidden: channels between the two; at least 1.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze, self.relu = nn.Conv2d(channels, hidden, 1), nn.ReLU()
        self.expand, self.sigmoid = nn.Conv2d(hidden, channels, 1), nn.Sigmoid()

    def forward(self, mean_nc11: Tensor) -> Tensor:
        """[N, c, 1, 1] to the same shape."""
        factor_nc11: Tensor = self.sigmoid(self.expand(self.relu(self.squeeze(mean_nc11))))
        return factor_nc11


class SqueezeExcite(nn.Module):
    """x times the excitation of its spatial means; arguments as of ``Excitation``."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mean, self.excitation, self.scale = SpatialMean(), Excitation(channels, hidden), Scale()

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        y_nchw: Tensor = self.scale(x_nchw, self.excitation(self.mean(x_nchw)))
        return y_nchw
