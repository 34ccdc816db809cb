"""Full-precision networks without what evaluation does not need."""

from __future__ import annotations

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
                part[index], part[index + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
