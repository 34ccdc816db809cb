"""SGEM U-Net: a U-Net with one skip connection replaced by an attention between the two maps that it would join.

The axes, and how the network was reconstructed from its published counts, are in search_spaces/sgem_unet/README.md.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from irnas.core.space import Value
from irnas.nn import traits
from irnas.nn.block import body
from irnas.nn.channel import Concat
from irnas.nn.gap import SemanticGap
from irnas.nn.loss import softiou
from irnas.nn.phase import PhaseConv2d
from irnas.nn.reach import reach
from irnas.nn.slim import fold

Values = Mapping[str, Value]

INPUT_AXIS = "in_ch"
"""See irnas.models."""


class SgemUnet(nn.Module):
    """``depth`` encoder levels, as many decoder levels less one, head.

    Level l works on maps of 1/2^l of the input's height and width and has c * 2^l channels. The decoder's second level
    takes its skip connection through the semantic-gap module.
    """

    learning_rate = 3e-3

    def __init__(self, values: Values) -> None:
        super().__init__()
        depth, base, is_binary = int(values["depth"]), int(values["c"]), values["binary"] == "body"
        widths = [base * 2**level for level in range(depth)]
        self.in_channels, self.stride = int(values[INPUT_AXIS]), 2 ** (depth - 1)
        self.enc = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else self.in_channels
            # The image itself is never binarised.
            first = _unit(before, width, is_binary and level > 0)
            self.enc.append(nn.Sequential(first, _unit(width, width, is_binary)))
        self.pool = nn.MaxPool2d(2)
        self.gap, self.gap_level = None, depth - 3
        if values["sgem"]:
            shallow, deep = widths[depth - 3 : depth - 1]
            self.gap = SemanticGap(
                shallow,
                deep,
                shallow,
                length=int(values["d"]),
                tokens=int(values["t"]),
                form=str(values["form"]),
            )
        self.concat = Concat()
        self.up, self.dec = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths[:-1]):
            self.up.append(_doubling(2 * width, width, str(values["up"]), is_binary))
            joined = width if self.gap is not None and level == self.gap_level else 2 * width
            self.dec.append(nn.Sequential(_unit(joined, width, is_binary), _unit(width, width, is_binary)))
        self.head = nn.Conv2d(base, 1, 1)
        if self.gap is None:
            # Attention looks everywhere.
            self.halo = sum(2**level * reach(self.enc[level], self.pool) for level in range(depth))
            self.halo += sum(2 ** (level + 1) * reach(self.up[level], self.dec[level]) for level in range(depth - 1))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, 1, H, W] or [N, in_ch, H, W] in 0..1 to logits [N, 1, H, W]; one channel is repeated where three are due.

        Raises:
            DataError: another number of channels, or H or W that is no multiple of 2**(depth - 1).
        """
        x_nchw = traits.admit(x_nchw, self.in_channels, self.stride)
        skips: list[Tensor] = []
        for level, block in enumerate(self.enc):
            x_nchw = block(self.pool(x_nchw) if level else x_nchw)
            skips.append(x_nchw)
        skips.pop()
        for level in reversed(range(len(skips))):
            skip_nchw = skips.pop()
            if self.gap is not None and level == self.gap_level:
                up_nchw = self.up[level](self.gap.value(x_nchw))
                x_nchw = self.dec[level](self.gap(up_nchw, skip_nchw, x_nchw))
            else:
                x_nchw = self.dec[level](self.concat(self.up[level](x_nchw), skip_nchw))
        logits_n1hw: Tensor = self.head(x_nchw)
        return logits_n1hw

    def loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """Soft IoU over the batch, as in the paper but with 1 added above and below, for crops without a target."""
        return softiou(self(x_nchw).float(), truth_n1hw)

    def deploy(self) -> nn.Module:
        """A copy for inference that yields the same logits with less work.

        Batch normalisation is part of its convolution, doubling by nearest neighbours part of the one behind it
        (irnas.nn.phase), and the semantic-gap module holds a scale per channel only.
        """
        deployed = copy.deepcopy(self).eval()
        fold(deployed)
        for part in deployed.up:
            assert isinstance(part, nn.Sequential)
            _merge(part)
        # A deployed network may be deployed once more: the export does so to whatever it is given.
        if deployed.gap is not None and isinstance(deployed.gap.restore, nn.Conv2d):
            deployed.gap.restore = deployed.gap.without_shifts()
        return deployed


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/sgem_unet/space.yaml."""
    return SgemUnet(values)


def _unit(channels: int, out_channels: int, is_binary: bool) -> nn.Module:
    """A 3x3 convolution with normalisation and activation, or the binary layer in its place."""
    if is_binary:
        return body(channels, out_channels)
    return nn.Sequential(nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU())


def _doubling(channels: int, out_channels: int, mode: str, is_binary: bool) -> nn.Sequential:
    align = False if mode == "bilinear" else None
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode=mode, align_corners=align), _unit(channels, out_channels, is_binary)
    )


def _merge(doubling: nn.Sequential) -> None:
    """Turn a doubling by nearest neighbours and the full-precision convolution behind it into one layer, in place."""
    scale, unit = doubling
    if isinstance(scale, nn.Upsample) and scale.mode == "nearest" and isinstance(unit, nn.Sequential):
        conv = unit[0]
        assert isinstance(conv, nn.Conv2d)
        doubling[0], unit[0] = PhaseConv2d(conv), nn.Identity()
