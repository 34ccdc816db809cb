"""Full-precision networks without what evaluation does not need."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> None:
    """Fold each batch normalisation into the convolution ahead of it in the same Sequential; in place, in eval mode.

    The result is equal up to rounding: norm(conv(x)) has weights w g / s and shift b - m g / s, with the running mean m
    and deviation s, gain g and shift b.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for index in range(len(part) - 1):
            conv, norm = part[index], part[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index], part[index + 1] = _fused(conv, norm), nn.Identity()


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    if not conv.weight.is_meta:
        return fuse_conv_bn_eval(conv, norm)
    # Where costs are counted weights have no values, and arithmetic on them would take most of the time.
    if conv.bias is None:
        conv.bias = nn.Parameter(torch.empty(conv.out_channels, device="meta"))
    return conv
