"""The small U-shaped network that larger ones use as a layer (residual U-block; Qin et al., U2-Net, 2020)."""

from __future__ import annotations

from torch import Tensor, nn

from irnas.nn.block import body
from irnas.nn.channel import Add, Concat

DEPTH = 5
"""How many times the map is halved inside."""


def unit(channels: int, out_channels: int, *, binary: bool = False) -> nn.Module:
    """3x3 convolution with bias, batch normalisation, ReLU; or the binary layer that takes their place."""
    if binary:
        return body(channels, out_channels)
    return nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU())


class RSU(nn.Module):
    """A unit, a U of width ``middle`` over its result, and the sum of both.

    Args:
        channels: of the input.
        middle: of every map inside the U.
        out_channels: of the result.
        binary: whether units are binary; one that sees the image itself never is.
    """

    def __init__(self, channels: int, middle: int, out_channels: int, *, binary: bool = False) -> None:
        super().__init__()
        self.enter = unit(channels, out_channels, binary=binary and channels > 1)
        self.pool, self.enlarge = nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.down = nn.ModuleList(
            unit(middle if level else out_channels, middle, binary=binary) for level in range(DEPTH + 1)
        )
        self.bottom = unit(middle, middle, binary=binary)
        self.concat, self.add = Concat(), Add()
        self.up = nn.ModuleList(
            unit(2 * middle, middle if level else out_channels, binary=binary) for level in range(DEPTH + 1)
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, out, H, W]; H and W are multiples of 32."""
        x_nchw = self.enter(x_nchw)
        seen = [self.down[0](x_nchw)]
        for down in self.down[1:]:
            seen.append(down(self.pool(seen[-1])))
        y_nchw = self.bottom(seen[-1])
        for level in reversed(range(DEPTH + 1)):
            if level < DEPTH:
                y_nchw = self.enlarge(y_nchw)
            y_nchw = self.up[level](self.concat(y_nchw, seen[level]))
        sum_nchw: Tensor = self.add(y_nchw, x_nchw)
        return sum_nchw
