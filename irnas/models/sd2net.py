"""SD2Net: a U-shaped network between two smaller ones, with maps decomposed over their own differences
(arXiv 2512.03470, single-frame network).

The axes, and what each of them reproduces, are described in search_spaces/sd2net/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from irnas.core.errors import DataError, SpaceError
from irnas.core.space import Value
from irnas.nn.block import body
from irnas.nn.channel import Add, Concat
from irnas.nn.decomposition import SD2M, SD3M, InceptionPool
from irnas.nn.difference import HAAR, Bank, HighPass, directional
from irnas.nn.dynamic import with_dynamic_filters
from irnas.nn.gap import Multiply
from irnas.nn.loss import softiou
from irnas.nn.revision import Revised
from irnas.nn.rsu import DEPTH, RSU, unit

Values = Mapping[str, Value]

STRIDE = 2**DEPTH
LEVELS = 4
_SLOPE = 0.01
_SHARES = (0.8, 0.4, 0.2, 0.1)
"""Energy that the high-pass of each level leaves out, from full resolution down."""


class SD2Net(nn.Module):
    """A small U, four levels down, decomposed skip connections, four levels up, a small U, head.

    Args:
        values: the active values of a genotype of search_spaces/sd2net/space.yaml.
        outputs: channels of the result; 1 for logits.
        head: "1x1" or "7x7".
    """

    stride = STRIDE
    learning_rate = 3e-3

    def __init__(self, values: Values, *, outputs: int = 1, head: str = "1x1") -> None:
        super().__init__()
        c, binary = int(values["c"]), values["binary"] == "body"
        widths = (2 * c, 2 * c, 4 * c, 8 * c, 8 * c)
        self.enter = RSU(1, c, widths[0], binary=binary)
        self.down = nn.ModuleList(_down(values, widths[level]) for level in range(LEVELS))
        self.encoder = nn.ModuleList(
            Residual(widths[level], widths[level + 1], binary=binary) for level in range(LEVELS)
        )
        self.skip = nn.ModuleList(_skip(values, level, widths[level]) for level in range(LEVELS))
        outs, xin = (2 * c, 2 * c, 2 * c, 4 * c), bool(values.get("xin", False))
        self.decoder = nn.ModuleList(Up(widths[level], outs[level], binary=binary, xin=xin) for level in range(LEVELS))
        self.leave = RSU(2 * c, c, c if head == "7x7" else 2 * c, binary=binary)
        self.head = _head(head, c, outputs)

    def forward(self, x_n1hw: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1 to logits [N, 1, H, W], or to so many features as there are outputs.

        Raises:
            DataError: more than one channel, or H or W that is no multiple of 32.
        """
        channels, height, width = x_n1hw.shape[1:]
        if height % STRIDE or width % STRIDE or not height or not width:
            raise DataError(f"network input: got {height}x{width} pixels; must be multiples of {STRIDE}")
        if channels != 1:
            raise DataError(f"network input: got {channels} channels; must be 1")
        x_nchw = self.enter(x_n1hw)
        maps: list[Tensor] = []
        for level in range(LEVELS):
            maps.append(x_nchw)
            x_nchw = self.encoder[level](self.down[level](x_nchw))
        for level in reversed(range(LEVELS)):
            map_nchw = maps.pop()
            x_nchw = self.decoder[level](x_nchw, self.skip[level](map_nchw), map_nchw)
        y_nchw: Tensor = self.head(self.leave(x_nchw))
        return y_nchw

    def deploy(self) -> nn.Module:
        """An equal network in eval mode whose decompositions are dynamic filters, which export to few nodes."""
        return with_dynamic_filters(self)

    def loss(self, x_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The paper's: soft IoU with sums over the whole batch, smooth term 1; a scalar."""
        return softiou(self(x_n1hw).float(), truth_n1hw)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, each normalised and followed by a leaky ReLU."""

    def __init__(self, channels: int, out_channels: int, *, binary: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_normalised(channels, out_channels, binary),
            nn.LeakyReLU(_SLOPE),
            *_normalised(out_channels, out_channels, binary),
        )
        self.shortcut: nn.Module = nn.Identity()
        if channels != out_channels:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out_channels, 1), nn.BatchNorm2d(out_channels))
        self.add, self.act = Add(), nn.LeakyReLU(_SLOPE)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, out, H, W]."""
        y_nchw: Tensor = self.act(self.add(self.branch(x_nchw), self.shortcut(x_nchw)))
        return y_nchw


class Up(Revised):
    """A deep map at twice the size, gated by the skip connection, and two units over both.

    Args:
        channels: of the deep map and of the skip connection.
        out_channels: of the result.
        binary: whether the units are binary.
        xin: whether the encoder's map is added to the enlarged one, ahead of the gate.
    """

    def __init__(self, channels: int, out_channels: int, *, binary: bool, xin: bool = False) -> None:
        super().__init__()
        self.scale = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.add = Add() if xin else None
        self.gate = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Sigmoid())
        self.multiply, self.concat = Multiply(), Concat()
        self.units = nn.Sequential(
            unit(2 * channels, out_channels, binary=binary), unit(out_channels, out_channels, binary=binary)
        )

    @property
    def revised(self) -> str:
        """As of ``Revised``."""
        return "" if self.add is None else "xin=true"

    def forward(self, deep_nchw: Tensor, skip_nchw: Tensor, map_nchw: Tensor) -> Tensor:
        """[N, c, H/2, W/2], the skip connection and the encoder's map, both [N, c, H, W], to [N, out, H, W]."""
        large_nchw = self.scale(deep_nchw)
        if self.add is not None:
            large_nchw = self.add(large_nchw, map_nchw)
        gated_nchw = self.multiply(self.gate(skip_nchw), large_nchw)
        y_nchw: Tensor = self.units(self.concat(skip_nchw, gated_nchw))
        return y_nchw


class Beside(nn.Module):
    """A layer's result beside its input, along the channels."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.concat = layer, Concat()

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, d + c, H, W]."""
        y_nchw: Tensor = self.concat(self.layer(x_nchw), x_nchw)
        return y_nchw


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/sd2net/space.yaml."""
    return SD2Net(values, head=str(values["head"]))


def _normalised(channels: int, out_channels: int, binary: bool) -> list[nn.Module]:
    if binary:
        return [body(channels, out_channels)]
    return [nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels)]


def _down(values: Values, channels: int) -> nn.Module:
    """What halves a map: InceptionPool, with or without SD3M; SD3M alone; or the maximum of 2x2 pixels."""

    def sd3m(part: int) -> nn.Module:
        return SD3M(part, str(values["sd3m_origin"]), orthogonal=bool(values.get("orthogonal", False)))

    if values["ip"]:
        return InceptionPool(channels, sd3m(channels // 4) if values["sd3m"] else None)
    return sd3m(channels) if values["sd3m"] else nn.MaxPool2d(2)


def _skip(values: Values, level: int, channels: int) -> nn.Module:
    if not values["sd2m"]:
        return nn.Identity()
    if values["kernel"] == "fourier":
        return HighPass(_SHARES[level])
    ratio = int(str(values["ratios"]).split("-")[level])
    return SD2M(
        channels,
        channels // ratio,
        str(values["form"]),
        _bank(values),
        extra=bool(values["extra"]),
        orthogonal=bool(values["orthogonal"]),
    )


def _bank(values: Values) -> Bank:
    match values["kernel"]:
        case "directional":
            return directional([int(d) for d in str(values["dilations"]).split("-")])
        case "haar":
            return HAAR
    raise SpaceError(f"kernel: got {values['kernel']!r}; one of directional, haar, fourier")


def _head(name: str, c: int, outputs: int) -> nn.Module:
    match name:
        case "1x1":
            return nn.Conv2d(2 * c, outputs, 1)
        case "7x7":
            part = max(c // 4, 1)
            wide = nn.Conv2d(c, part, 7, padding=3, groups=part, bias=False)
            return nn.Sequential(Beside(wide), nn.Conv2d(c + part, outputs, 1, bias=False))
    raise SpaceError(f"head: got {name!r}; one of 1x1, 7x7")
