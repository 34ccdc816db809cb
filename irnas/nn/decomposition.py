"""The layers of SD2Net around a basis decomposition: SD2M keeps the size of a map, SD3M and InceptionPool halve it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn.channel import Concat
from irnas.nn.difference import QUAD, Bank, Recombination


class SD2M(nn.Module):
    """A map as the decomposition of a mixture of its channels over its own differences.

    Args:
        channels: c, of input and output.
        hidden: channels that are decomposed.
        form: "plain": 1x1, decomposition, 1x1, normalisation; a normalised 1x1 ahead only where ``hidden`` is not c.
            "reduced": always with that, and with one more 1x1 behind the decomposition. "stack": the same without
            normalisation behind it, and with an origin of two 3x3 and two 1x1 convolutions in a row.
        bank, extra, orthogonal: of the decomposition; see ``Recombination``.
    """

    def __init__(
        self, channels: int, hidden: int, form: str, bank: Bank, *, extra: bool = False, orthogonal: bool = False
    ) -> None:
        super().__init__()
        reduces = hidden != channels or form != "plain"
        self.reduce = (
            nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden)) if reduces else nn.Identity()
        )
        self.origin = stack(hidden) if form == "stack" else nn.Conv2d(hidden, hidden, 1, bias=reduces)
        self.recombine = Recombination(bank, extra="contrast" if extra else "none", orthogonal=orthogonal)
        self.restore = _restore(form, hidden, channels)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        z_nchw = self.reduce(x_nchw)
        y_nchw: Tensor = self.restore(self.recombine(self.origin(z_nchw), z_nchw))
        return y_nchw


class SD3M(nn.Module):
    """A map at half the size: the decomposition of its mean over its maximum and the differences of 2x2 pixels.

    Args:
        channels: of input and output.
        origin: what follows the mean: "conv" a 1x1 convolution, "stack" four convolutions; or "wide", those behind a
            channel-wise 6x6 convolution of stride 2 in place of the mean, and with the maximum less the mean, and the
            mean less that of the map, in place of the maximum.
        orthogonal: see ``Recombination``.
    """

    def __init__(self, channels: int, origin: str = "conv", *, orthogonal: bool = False) -> None:
        super().__init__()
        mean: nn.Module = nn.AvgPool2d(2)
        if origin == "wide":
            mean = nn.Conv2d(channels, channels, 6, stride=2, padding=2, groups=channels)
        self.origin = nn.Sequential(mean, nn.Conv2d(channels, channels, 1) if origin == "conv" else stack(channels))
        extra = "deviations" if origin == "wide" else "max"
        self.recombine = Recombination(QUAD, extra=extra, orthogonal=orthogonal)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, H/2, W/2]."""
        y_nchw: Tensor = self.recombine(self.origin(x_nchw), x_nchw)
        return y_nchw


class MinPool2d(nn.Module):
    """The minimum of each 2x2 pixels."""

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, H/2, W/2]."""
        return -F.max_pool2d(-x_nchw, 2)


class InceptionPool(nn.Module):
    """A quarter of the channels each by maximum, minimum, mean and SD3M; without SD3M, half of them by mean.

    Args:
        channels: a multiple of 4.
        last: what halves the last quarter; None for the mean.
    """

    def __init__(self, channels: int, last: nn.Module | None) -> None:
        super().__init__()
        if channels % 4:
            raise SpaceError(f"InceptionPool: got {channels} channels; must be a multiple of 4")
        self.parts = nn.ModuleList([nn.MaxPool2d(2), MinPool2d(), nn.AvgPool2d(2), last or nn.AvgPool2d(2)])
        self.concat = Concat()

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, H/2, W/2]."""
        groups = x_nchw.chunk(4, 1)
        y_nchw: Tensor = self.concat(*(part(group) for part, group in zip(self.parts, groups, strict=True)))
        return y_nchw


def stack(channels: int) -> nn.Sequential:
    """Four linear convolutions in a row, two 3x3 and two 1x1."""
    kernels = (3, 3, 1, 1)
    return nn.Sequential(*(nn.Conv2d(channels, channels, kernel, padding=kernel // 2) for kernel in kernels))


def _restore(form: str, hidden: int, channels: int) -> nn.Sequential:
    last, between = nn.Conv2d(hidden, channels, 1), nn.Conv2d(hidden, hidden, 1)
    match form:
        case "plain":
            return nn.Sequential(last, nn.BatchNorm2d(channels))
        case "reduced":
            return nn.Sequential(between, nn.BatchNorm2d(hidden), last)
        case "stack":
            return nn.Sequential(between, last)
    raise SpaceError(f"SD2M form: got {form!r}; one of plain, reduced, stack")
