"""Layers that act on each channel or element alone, and the small arithmetic between branches.

Arithmetic lives in modules of its own, even an addition, so that one cost rule per module type covers a network.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError

ACTIVATIONS = ("none", "hardtanh", "relu", "prelu", "rprelu", "maxout")
_SLOPE = 0.25


class RPReLU(nn.Module):
    """PReLU between two learnt shifts: y - a + b above the knee a, g (y - a) + b below (BiisNet, eq. 10; ReActNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.knee = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), _SLOPE))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return F.prelu(x_nchw - self.knee.view(1, -1, 1, 1), self.slope) + self.shift.view(1, -1, 1, 1)


class _MaxOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, above: Tensor, below: Tensor) -> Tensor:
        ctx.save_for_backward(x, above, below)
        return torch.where(x > 0, above, below).mul_(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (grad,) = grad_outputs
        x, above, below = ctx.saved_tensors
        product, positive = grad * x, x > 0
        total = product.sum_to_size(above.shape)
        grad_above = product.mul_(positive).sum_to_size(above.shape)
        return torch.where(positive, above, below).mul_(grad), grad_above, total - grad_above


class MaxOut(nn.Module):
    """p max(y, 0) + q min(y, 0) per channel (AdaBin, section 3.3): a PReLU whose upper slope is learnt too."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.above = nn.Parameter(torch.ones(channels))
        self.below = nn.Parameter(torch.full((channels,), _SLOPE))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        above, below = self.above.view(1, -1, 1, 1), self.below.view(1, -1, 1, 1)
        y_nchw: Tensor = _MaxOut.apply(x_nchw, above, below)  # type: ignore[no-untyped-call]
        return y_nchw


class ChannelAffine(nn.Module):
    """A learnt scale and shift per channel, from 1 and 0: ReDistribution (BiisNet, eq. 11)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return torch.addcmul(self.shift.view(1, -1, 1, 1), x_nchw, self.scale.view(1, -1, 1, 1))


class ChannelShift(nn.Module):
    """A learnt shift per channel, from 0: in front of a sign, ReActNet's RSign."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return x_nchw + self.shift.view(1, -1, 1, 1)


class SampleNorm(nn.Module):
    """Zero mean and unit deviation over channels and pixels of each sample (SiMaN's activation, before its sign)."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return F.layer_norm(x_nchw, x_nchw.shape[1:])


class Gain(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return x_nchw * self.gain


class Add(nn.Module):
    """x + y."""

    def forward(self, x_nchw: Tensor, y_nchw: Tensor) -> Tensor:
        """Two maps of one shape."""
        return x_nchw + y_nchw


class Average(nn.Module):
    """(x + y) / 2."""

    def forward(self, x_nchw: Tensor, y_nchw: Tensor) -> Tensor:
        """Two maps of one shape."""
        return (x_nchw + y_nchw) * 0.5


class Concat(nn.Module):
    """Maps side by side along the channels."""

    def forward(self, *parts_nchw: Tensor) -> Tensor:
        """Maps of one height and width to one map of all their channels."""
        return torch.cat(parts_nchw, 1)


class Unapplied(nn.Module):
    """A scale and a shift per channel that a paper's code declares and never applies: they count as parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """The map itself."""
        return x_nchw


class Subsample(nn.Module):
    """Every second pixel of every second row."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, H/2, W/2]."""
        return x_nchw[:, :, ::2, ::2]


def activation(name: str, channels: int) -> nn.Module | None:
    """The activation of that name, one of ``ACTIVATIONS``; None for "none"."""
    match name:
        case "none":
            return None
        case "hardtanh":
            return nn.Hardtanh()
        case "relu":
            return nn.ReLU()
        case "prelu":
            return nn.PReLU(channels)
        case "rprelu":
            return RPReLU(channels)
        case "maxout":
            return MaxOut(channels)
    raise SpaceError(f"activation: got {name!r}; one of {', '.join(ACTIVATIONS)}")
