"""The networks of this space: ``build`` makes one of the values that space.yaml lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Squeeze(nn.Module):
    """Weighs each channel by what all channels are on average."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        narrow = max(width // reduction, 1)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, width, 1), nn.Sigmoid()
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """float32 [N, C, H, W] to the same."""
        weights_nc11: Tensor = self.weigh(x_nchw)
        return x_nchw * weights_nc11


class Block(nn.Module):
    """A depth-wise and a point-wise convolution beside a shortcut."""

    def __init__(self, width: int, kernel: int, squeeze: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            squeeze,
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """float32 [N, C, H, W] to the same."""
        y_nchw: Tensor = self.body(x_nchw)
        return x_nchw + y_nchw


class Network(nn.Module):
    """Blocks at full resolution. What else a network may say of itself: irnas.nn.traits."""

    learning_rate = 5e-3
    """Peak rate of AdamW; without it 0.01, which suits binary weights."""

    def __init__(self, width: int, depth: int, kernel: int, reduction: int | None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                Block(width, kernel, nn.Identity() if reduction is None else Squeeze(width, reduction))
                for _ in range(depth)
            )
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Images float32 [N, 1, H, W] in 0..1 to logits [N, 1, H, W]."""
        logits: Tensor = self.head(self.blocks(self.stem(x_nchw)))
        return logits


def build(values: Mapping[str, Any]) -> nn.Module:
    """The untrained network of some values; those whose condition does not hold are absent."""
    reduction = values["reduction"] if values["squeeze"] else None
    return Network(values["width"], values["depth"], values["kernel"], reduction)
