"""How far a module looks around a pixel: what must surround a part of an image for its logits to be those of the whole.

A module of unknown kind looks nowhere else here, so only families whose parts are all listed may go by this.
"""

from __future__ import annotations

from torch import nn

from irnas.nn.binary import BinaryConv2d
from irnas.nn.contrast import LocalContrast


def reach(*modules: nn.Module) -> int:
    """An upper bound, in pixels of the finest map inside: as if all layers of the modules stood in one row.

    Convolutions look half their kernel away, pooling its window, and interpolation to the next pixel.
    """
    return sum(_reach_of_layer(layer) for module in modules for layer in module.modules())


def _reach_of_layer(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return max(d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)) // 2
    if isinstance(layer, BinaryConv2d):
        return layer.kernel // 2
    if isinstance(layer, LocalContrast):
        return max(layer.sides) // 2
    return int(isinstance(layer, nn.AvgPool2d | nn.MaxPool2d | nn.Upsample))
