"""Aware Fusion Distribute (ADSNet, eqs 2-5): one map of all scales guides the maps of single levels.

The maps of all levels are brought to the size of the middle one, mixed, and split into one part per guided level. A
level's part is resized back and added through a channel gate and a spatial gate, which look at the sum of both maps.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from irnas.nn.channel import Add, Concat
from irnas.nn.residual import BasicBlock, pointwise

SQUEEZE, LEAST = 16, 4
"""The hidden channels of a channel gate: a sixteenth of its channels, but at least four."""


class SpatialPeak(nn.Module):
    """The maximum of each channel over all pixels."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, 1, 1]."""
        return x_nchw.amax((2, 3), keepdim=True)


class ChannelPeak(nn.Module):
    """The maximum of each pixel over all channels."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, 1, H, W]."""
        return x_nchw.amax(1, keepdim=True)


class PeakNorm(nn.BatchNorm2d):
    """Batch normalisation of numbers per image: a batch of a single one has no deviation and takes the running one."""

    def forward(self, x_nc11: Tensor) -> Tensor:
        """[N, c, 1, 1] to the same shape."""
        if self.training and x_nc11.shape[0] == 1:
            return F.batch_norm(x_nc11, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x_nc11)


class Modulate(nn.Module):
    """(c g + p g) b + g with the gates c and p, or with one of them (eq. 5)."""

    def __init__(self, num_gates: int) -> None:
        super().__init__()
        self.num_gates = num_gates

    def forward(self, b_nchw: Tensor, g_nchw: Tensor, *gates: Tensor) -> Tensor:
        """Two maps [N, c, H, W] and gates [N, c, 1, 1] or [N, 1, H, W] to a map of their shape."""
        total = gates[0] if len(gates) == 1 else gates[0] + gates[1]
        return total * g_nchw * b_nchw + g_nchw


class Guidance(nn.Module):
    """A level's map b with its part g of the global map, gated by both.

    Args:
        channels: of both maps.
        resize: brings g to the size of b.
        by_channel, by_place: which gates there are; at least one.
    """

    def __init__(self, channels: int, resize: nn.Module, *, by_channel: bool, by_place: bool) -> None:
        super().__init__()
        hidden = max(channels // SQUEEZE, LEAST)
        self.resize, self.add = resize, Add()
        gates: list[nn.Module] = []
        if by_channel:
            gates.append(
                nn.Sequential(
                    SpatialPeak(),
                    nn.Conv2d(channels, hidden, 1, bias=False),
                    PeakNorm(hidden),
                    nn.ReLU(),
                    nn.Conv2d(hidden, channels, 1, bias=False),
                    PeakNorm(channels),
                    nn.Sigmoid(),
                )
            )
        if by_place:
            gates.append(nn.Sequential(ChannelPeak(), pointwise(1, 1), nn.Sigmoid()))
        self.gates = nn.ModuleList(gates)
        self.modulate = Modulate(len(gates))

    def forward(self, b_nchw: Tensor, g_nchw: Tensor) -> Tensor:
        """[N, c, H, W] and [N, c, H', W'] to [N, c, H, W]."""
        g_nchw = self.resize(g_nchw)
        sum_nchw = self.add(b_nchw, g_nchw)
        y_nchw: Tensor = self.modulate(b_nchw, g_nchw, *(gate(sum_nchw) for gate in self.gates))
        return y_nchw


class Distribution(nn.Module):
    """Gathers the maps of strides 4, 8 and 16, mixes them, and guides the levels named.

    Args:
        channels: of the three maps, the finest first.
        guided: which of them receive a part: indices 0..2; the others pass unchanged.
        by_channel, by_place: the gates of each guided level.
    """

    def __init__(self, channels: tuple[int, int, int], guided: tuple[int, ...], *, by_channel: bool, by_place: bool):
        super().__init__()
        self.guided, self.parts = guided, [channels[i] for i in guided]
        total = sum(self.parts)
        self.shrink, self.grow, self.concat = nn.MaxPool2d(2), _double(), Concat()
        self.mix = nn.Sequential(pointwise(sum(channels), total), nn.ReLU(), BasicBlock(total, total))
        resizes = (_double, nn.Identity, lambda: nn.MaxPool2d(2))
        self.guidance = nn.ModuleList(
            Guidance(channels[i], resizes[i](), by_channel=by_channel, by_place=by_place) for i in guided
        )

    def forward(self, *maps_nchw: Tensor) -> list[Tensor]:
        """[N, c2, H/4, W/4], [N, c3, H/8, W/8] and [N, c4, H/16, W/16] to three maps of the same shapes."""
        fine_nchw, middle_nchw, coarse_nchw = maps_nchw
        mixed_nchw = self.mix(self.concat(self.shrink(fine_nchw), middle_nchw, self.grow(coarse_nchw)))
        guided_nchw = list(maps_nchw)
        for level, part_nchw, guide in zip(self.guided, mixed_nchw.split(self.parts, 1), self.guidance, strict=True):
            guided_nchw[level] = guide(guided_nchw[level], part_nchw)
        return guided_nchw


def _double() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
