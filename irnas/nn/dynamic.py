"""Basis decompositions as filters whose taps are computed from the map itself: how a device should run them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.nn.difference import FLOOR, Bank, Recombination, Tap, recombine
from irnas.nn.slim import fold


class DynamicFilter(nn.Module):
    """A ``Recombination`` as convolutions, for inference; equal up to rounding.

    For each dilation one convolution with fixed weights yields all differences, their products with the origin and with
    themselves give the gains, and one convolution with the taps that the gains make yields the result: 17 taps per
    image and channel for eight directions and two dilations. Few nodes, so that it exports well.
    """

    def __init__(self, layer: Recombination) -> None:
        super().__init__()
        assert not layer.orthogonal, "an orthonormal basis needs more than a filter"
        self.layer = layer
        self.centred = any(layer.bank.margins[:1])
        groups = _by_reach(layer.bank)
        self.reaches = tuple(groups)
        for reach, filters in groups.items():
            self.register_buffer(f"weight{reach}", _weight(filters, reach, self.centred), persistent=False)

    def products(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Multiply-accumulates, operations and element-wise work of the convolutions and products that stand here.

        Zeros of the fixed weights are multiplied like other numbers, as engines do.
        """
        num, maps = math.prod(shape), shape[0] * shape[1]
        macs = ops = 0
        elementwise = self.layer.work_of_extra_maps(shape)
        for reach in self.reaches:
            weight = self.get_buffer(f"weight{reach}")
            filters, taps = len(weight), weight[0].numel()
            macs += num * (filters * taps + filters + taps) + maps * filters * taps
            ops += num * (filters + 1) * (2 * taps - 1) + filters * (2 * num - maps) + maps * taps * (2 * filters - 1)
            # Squares and their sums, a quotient for each gain, and the sum of all parts.
            elementwise += 2 * filters * num + filters * maps + num
        return macs, ops, elementwise - num

    def count_constants(self, shape: Sequence[int]) -> int:
        """The numbers that a file stores for a map [N, c, H, W]: the fixed weights, and again for each channel."""
        return (1 + shape[0] * shape[1]) * sum(self.get_buffer(f"weight{reach}").numel() for reach in self.reaches)

    def forward(self, origin_nchw: Tensor, source_nchw: Tensor) -> Tensor:
        """Origin [N, c, H, W] and source [N, c, H * stride, W * stride] to [N, c, H, W]."""
        maps = origin_nchw.shape[0] * origin_nchw.shape[1]
        source = source_nchw.reshape(1, maps, *source_nchw.shape[2:])
        if not self.centred:
            source = F.pad(source, self.layer.bank.margins)
        parts = [
            self._part(self.get_buffer(f"weight{reach}"), reach, origin_nchw.reshape(maps, -1, 1), source)
            for reach in self.reaches
        ]
        y_nchw = torch.stack(parts).sum(0).reshape(origin_nchw.shape)
        extra_maps = self.layer.extra_maps(source_nchw)
        return y_nchw + recombine(origin_nchw, extra_maps) if extra_maps else y_nchw

    def _part(self, weight: Tensor, reach: int, origin: Tensor, source: Tensor) -> Tensor:
        """What the differences of one reach contribute; all images and channels lie along the channels."""
        stride, maps = self.layer.bank.stride, len(origin)
        padding, dilation = (reach, reach) if self.centred else (0, 1)
        weight = weight.to(source.dtype)
        basis = F.conv2d(source, weight.repeat(maps, 1, 1, 1), None, stride, padding, dilation, maps)
        basis = basis.reshape(maps, len(weight), -1)
        gains = (basis @ origin).squeeze(2) / basis.square().sum(2).clamp_min(FLOOR)
        taps = (gains @ weight.flatten(1)).reshape(maps, 1, *weight.shape[2:])
        return F.conv2d(source, taps, None, stride, padding, dilation, maps)


def with_dynamic_filters(network: nn.Module) -> nn.Module:
    """A copy in eval mode with dynamic filters for decompositions, and normalisation as a part of convolutions."""
    copied = copy.deepcopy(network).eval()
    fold(copied)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Recombination) and not child.orthogonal:
                setattr(parent, name, DynamicFilter(child))
    return copied


def _by_reach(bank: Bank) -> dict[int, list[tuple[Tap, ...]]]:
    """The filters of a bank by the distance of their taps."""
    filters_of_reach: dict[int, list[tuple[Tap, ...]]] = {}
    for taps in bank.filters:
        filters_of_reach.setdefault(max(max(abs(row), abs(column)) for _, row, column in taps), []).append(taps)
    return filters_of_reach


def _weight(filters: Sequence[Sequence[Tap]], reach: int, centred: bool) -> Tensor:
    """Filters as the weight [filters, 1, k, k] of a convolution: k is 3 around a pixel, otherwise 2."""
    side = 3 if centred else 2
    weight = torch.zeros(len(filters), 1, side, side)
    for index, taps in enumerate(filters):
        for sign, row, column in taps:
            weight[index, 0, row // reach + centred, column // reach + centred] += sign
    return weight
