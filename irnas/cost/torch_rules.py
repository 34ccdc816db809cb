"""What torch's own layers work, beyond those that the families of irnas use: for networks that users bring.

Counted as in irnas/cost/rules.py. A function of one number, however long, is one table look-up and so one operation;
what normalises counts its mean 1, its variance 3, and a product and a sum. What only training does is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from irnas.cost.rules import Rule, Shape, Work, forward_shape, upsampled


def _convolution(layer: Any, x: Shape, y: Shape) -> Work:
    taps, num = layer.weight[0].numel(), math.prod(y)
    return Work(ops_full=num * (2 * taps - (layer.bias is None)), macs_full=num * taps)


def _transposed(layer: Any, x: Shape, y: Shape) -> Work:
    # Each number of the input meets every tap of its filters; what falls on one place is added up.
    macs = math.prod(x) * layer.weight[0].numel()
    return Work(ops_full=max(2 * macs - math.prod(y) * (layer.bias is None), macs), macs_full=macs)


def _averaged(layer: nn.Module, x: Shape, y: Shape) -> Work:
    return Work(elementwise=math.prod(x))


def _each(number: int) -> Rule:
    return Rule(lambda layer, x, y: Work(elementwise=number * math.prod(y)), forward_shape)


_FUNCTIONS = (
    *(nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Tanh, nn.LogSigmoid),
    *(nn.Hardsigmoid, nn.Hardswish),
)
_MOVES = (
    *(nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.Flatten, nn.Unflatten, nn.Fold, nn.Unfold),
    *(nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
)
_OF_TRAINING = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)

TORCH_RULES: Mapping[type[nn.Module], Rule] = {
    **dict.fromkeys((nn.Conv1d, nn.Conv3d), Rule(_convolution, forward_shape)),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d), Rule(_transposed, forward_shape)),
    **dict.fromkeys((nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d), _each(6)),
    **dict.fromkeys((nn.BatchNorm1d,), _each(2)),
    **dict.fromkeys(_FUNCTIONS, _each(1)),
    **dict.fromkeys((nn.ReLU6, nn.Threshold, *_MOVES, *_OF_TRAINING), _each(0)),
    nn.Softmax2d: _each(3),
    nn.AdaptiveAvgPool2d: Rule(_averaged, forward_shape),
    nn.AdaptiveMaxPool2d: Rule(lambda layer, x, y: Work(), forward_shape),
    **dict.fromkeys((nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d), Rule(upsampled, forward_shape)),
}
