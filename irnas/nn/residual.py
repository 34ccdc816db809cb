"""Residual blocks of full-precision 3x3 convolutions (He et al., Deep Residual Learning, 2016, Figure 2)."""

from __future__ import annotations

from torch import Tensor, nn

from irnas.nn.channel import Add


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with batch normalisation, beside the map itself; ReLU between them and at the end.

    Args:
        stride: of the first convolution. Where it is 2 or the channels change, a 1x1 convolution with batch
            normalisation carries the residual.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        is_same = stride == 1 and channels == out_channels
        self.skip = nn.Identity() if is_same else pointwise(channels, out_channels, stride)
        self.add, self.relu = Add(), nn.ReLU()

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, out, H/stride, W/stride]."""
        y_nchw: Tensor = self.relu(self.add(self.body(x_nchw), self.skip(x_nchw)))
        return y_nchw


def pointwise(channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """A 1x1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
