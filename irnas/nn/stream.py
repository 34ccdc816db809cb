"""A network of windows on a live sequence: each frame is encoded once, and its features are kept while it is seen."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch
from torch import Tensor


class Windowed(Protocol):
    """A network that encodes frames apart and decodes a window of features; such as STD2Net."""

    frames: int

    def encode(self, x_n1hw: Tensor) -> Tensor:
        """Frames [N, 1, H, W] to the features of each, [N, c, H, W]."""

    def decode(self, features_nchw: Tensor) -> Tensor:
        """The features of a window [N, frames * c, H, W], newest last, to logits [N, 1, H, W]."""


class Stream:
    """Frames in one by one, the newest frame's logits out; equal to the network on the window that ends there.

    Before as many frames as a window has, the first one stands in for those that never were.

    Args:
        network: in eval mode.
    """

    def __init__(self, network: Windowed) -> None:
        self._network = network
        self._features: deque[Tensor] = deque(maxlen=network.frames)

    @torch.no_grad()
    def __call__(self, x_n1hw: Tensor) -> Tensor:
        """The next frame [N, 1, H, W] in 0..1 to its logits [N, 1, H, W]; N sequences side by side."""
        features_nchw = self._network.encode(x_n1hw)
        self._features.extend([features_nchw] * (1 if self._features else self._network.frames))
        return self._network.decode(torch.cat([*self._features], 1))

    def reset(self) -> None:
        """Forget the sequence; the next frame begins another."""
        self._features.clear()
