"""What each layer type works: the one table that every cost comes from.

* ``ops`` are those of convolutions and linear layers, by the rule of BiisNet section 4.1 and of torch_flops, its tool:
  2 k^2 c_in/groups - 1 for each output, one more with a bias; binary ones are kept apart and count 1/64. A dot binary
  convolution is a 1x1 depth-wise one, so 1. Binary weights on full-precision maps save memory only: they count in full.
* ``macs`` are k^2 c_in/groups for each output of a convolution, binary or not.
* ``elementwise`` is the full-precision work around the convolutions, which the paper leaves out: one for each addition
  or multiplication; comparing, selecting and moving are free. Batch normalisation counts as its folded form.
* ``bits`` and ``numbers`` are what is learnt. Scales computed from a latent weight are not learnt; the k of a gradient
  estimator is, although nothing needs it after training.
* ``constants`` are numbers that a deployed layer stores beside them, computed once from what was learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from irnas.nn import (
    binary,
    channel,
    collapse,
    contrast,
    decomposition,
    difference,
    dynamic,
    excite,
    gap,
    guide,
    patch,
    sign,
    step,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one layer does and holds; binary and full-precision parts apart."""

    ops_binary: int = 0
    ops_full: int = 0
    macs_binary: int = 0
    macs_full: int = 0
    elementwise: int = 0
    bits: int = 0
    """Binary weights."""
    numbers: int = 0
    """Learnt numbers in full precision."""
    constants: int = 0
    """Numbers that are stored beside the learnt ones."""

    def __add__(self, other: Work) -> Work:
        return Work(**{name: getattr(self, name) + getattr(other, name) for name in Work.__slots__})

    @property
    def ops(self) -> float:
        """Operations; a binary one is 1/64."""
        return self.ops_full + self.ops_binary / 64

    @property
    def params(self) -> float:
        """Parameters; a binary one is 1/32."""
        return self.numbers + self.bits / 32

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions."""
        return self.macs_binary + self.macs_full

    @property
    def bytes(self) -> int:
        """Stored size."""
        return math.ceil(self.bits / 8) + 4 * (self.numbers + self.constants)


Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a layer type yields and does. What it holds is counted from its parameters."""

    work: Callable[[Any, Shape, Shape], Work]
    """(layer, shape of its first input, shape of its output); NCHW; N = 1, or frames."""
    shape: Callable[..., Shape] = lambda layer, x, *others: x
    """(layer, shape of each input) -> shape of its output."""


def forward_shape(layer: nn.Module, *shapes: Shape) -> Shape:
    """The shape that a layer's own arithmetic yields on the meta device, where no formula is written down."""
    inputs_nchw = [torch.empty(shape, device="meta") for shape in shapes]
    # Not the layer itself, whose forward may be stood in for.
    return tuple(type(layer).forward(layer, *inputs_nchw).shape)


def _windowed(channels: int, kernel: int, stride: int, padding: int, x: Shape, dilation: int = 1) -> Shape:
    reach = dilation * (kernel - 1) + 1
    height, width = ((side + 2 * padding - reach) // stride + 1 for side in x[2:])
    return x[0], channels, height, width


def _full_shape(layer: nn.Conv2d, x: Shape) -> Shape:
    if not isinstance(layer.padding, tuple):
        return forward_shape(layer, x)
    sides = {*zip(layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)}
    if len(sides) > 1:
        return forward_shape(layer, x)
    kernel, stride, padding, dilation = sides.pop()
    return _windowed(layer.out_channels, kernel, stride, padding, x, dilation)


def _full(layer: nn.Conv2d, x: Shape, y: Shape) -> Work:
    taps, num = layer.weight[0].numel(), math.prod(y)
    return Work(ops_full=num * (2 * taps - (layer.bias is None)), macs_full=num * taps)


def _linear(layer: nn.Linear, x: Shape, y: Shape) -> Work:
    num = math.prod(y)
    return Work(ops_full=num * (2 * layer.in_features - (layer.bias is None)), macs_full=num * layer.in_features)


def _binary_shape(layer: binary.BinaryConv2d, x: Shape) -> Shape:
    return _windowed(layer.out_channels, layer.kernel, layer.stride, layer.kernel // 2, x)


def _binary(layer: binary.BinaryConv2d, x: Shape, y: Shape) -> Work:
    taps, num = layer.weight[0].numel(), math.prod(y)
    ops, macs = num * (2 * taps - 1), num * taps
    # scale * N + shift * T: two multiplications and an addition; a scale alone is one.
    around = {"sign": 0, "adabin": 3}.get(layer.binarizer, 1) * num
    if layer.set_scale is not None:
        # (x - c) / a before the sign; a * y + (a constant per place) after it.
        around += 2 * math.prod(x) + 2 * num
    if layer.sign is None:
        return Work(ops_full=ops, macs_full=macs, elementwise=around)
    return Work(ops_binary=ops, macs_binary=macs, elementwise=around)


def _dot(layer: binary.DotBinaryConv2d, x: Shape, y: Shape) -> Work:
    num = math.prod(y)
    return Work(ops_binary=num, macs_binary=num, elementwise=num)


def _each(cost: int) -> Callable[[nn.Module, Shape, Shape], Work]:
    """So much full-precision work for each output element."""
    return lambda layer, x, y: Work(elementwise=cost * math.prod(y))


def _product(terms: Callable[[Shape], int]) -> Callable[[nn.Module, Shape, Shape], Work]:
    """A matrix product of two maps; ``terms`` takes the shape of the left one to the length of its sums."""

    def work(layer: nn.Module, x: Shape, y: Shape) -> Work:
        num = math.prod(y)
        return Work(ops_full=num * (2 * terms(x) - 1), macs_full=num * terms(x))

    return work


def _collapsed(layer: collapse.Collapsed, x: Shape, y: Shape) -> Work:
    wide, narrow = layer.expand.weight.shape[:2]
    num, _, height, width = y
    ring = 2 * (width + 2 + height) * wide * narrow * 3 + 2 * (width + height) * wide * 3
    factors = 9 * narrow * wide + sum(
        part.weight.numel() for part in (layer.excitation.squeeze, layer.excitation.expand)
    )
    macs = num * (25 * narrow * height * width + ring + factors + 25 * narrow * wide)
    # The sums for the means read the narrow map once; a constant and four edges are added to the result.
    return Work(ops_full=2 * macs, macs_full=macs, elementwise=math.prod(x) + 5 * math.prod(y))


def _balance(layer: step.Balance, x: Shape, y: Shape) -> Work:
    return Work(elementwise=(layer.plus + layer.minus - 1) * math.prod(y))


def _pool_shape(layer: nn.AvgPool2d | nn.MaxPool2d, x: Shape) -> Shape:
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    is_plain = not layer.ceil_mode and getattr(layer, "dilation", 1) == 1
    if is_plain and isinstance(kernel, int) and isinstance(stride, int) and isinstance(padding, int):
        return _windowed(x[1], kernel, stride, padding, x)
    return forward_shape(layer, x)


def _pool(layer: nn.AvgPool2d | nn.MaxPool2d, x: Shape, y: Shape) -> Work:
    kernel = layer.kernel_size
    taps = kernel**2 if isinstance(kernel, int) else math.prod(kernel)
    return Work(elementwise=0 if isinstance(layer, nn.MaxPool2d) else math.prod(y) * taps)


def _upsample_shape(layer: nn.Upsample, x: Shape) -> Shape:
    times = layer.scale_factor
    if not isinstance(times, int | float) or times != int(times):
        return forward_shape(layer, x)
    return x[0], x[1], x[2] * int(times), x[3] * int(times)


def upsampled(layer: nn.Upsample, x: Shape, y: Shape) -> Work:
    """What interpolation works."""
    # Bilinear: two products and a sum along rows for half of the outputs, along columns for all of them. Bicubic: four
    # products and three sums.
    return Work(elementwise=math.prod(y) * {"bilinear": 9, "bicubic": 21}.get(layer.mode, 0) // 2)


def _recombination(
    layer: difference.Recombination | difference.TemporalRecombination | dynamic.DynamicFilter, x: Shape, y: Shape
) -> Work:
    macs, ops, elementwise = layer.products(y)
    constants = layer.count_constants(y) if isinstance(layer, dynamic.DynamicFilter) else 0
    return Work(ops_full=ops, macs_full=macs, elementwise=elementwise, constants=constants)


def _patches(layer: patch.PatchActivation, x: Shape, y: Shape) -> Work:
    macs, outputs, elementwise = layer.work(x)
    return Work(ops_full=2 * macs - outputs, macs_full=macs, elementwise=elementwise)


def _high_pass(layer: difference.HighPass, x: Shape, y: Shape) -> Work:
    # Two transforms of 5 P log2 P, the usual count for P numbers; energy, selection and magnitude.
    return Work(elementwise=math.ceil(math.prod(y) * (10 * math.log2(max(y[2] * y[3], 2)) + 6)))


RULES: Mapping[type[nn.Module], Rule] = {
    nn.Conv2d: Rule(_full, _full_shape),
    nn.Linear: Rule(_linear, lambda layer, x: (*x[:-1], layer.out_features)),
    binary.BinaryConv2d: Rule(_binary, _binary_shape),
    binary.DotBinaryConv2d: Rule(_dot),
    sign.Sign: Rule(_each(0)),
    channel.RPReLU: Rule(_each(3)),
    channel.MaxOut: Rule(_each(1)),
    channel.ChannelAffine: Rule(_each(2)),
    channel.ChannelShift: Rule(_each(1)),
    # Mean 1, variance 3, multiplication 1.
    channel.SampleNorm: Rule(_each(5)),
    channel.Gain: Rule(_each(1)),
    channel.Add: Rule(_each(1)),
    channel.Average: Rule(_each(2)),
    channel.Concat: Rule(_each(0), lambda layer, *parts: (parts[0][0], sum(part[1] for part in parts), *parts[0][2:])),
    channel.Unapplied: Rule(_each(0)),
    # Running sums along rows and columns, four additions; the share of the pixels inside, the difference, its gain.
    contrast.LocalContrast: Rule(_each(7), lambda layer, x: (x[0], len(layer.sides), *x[2:])),
    channel.Subsample: Rule(_each(0), lambda layer, x: _windowed(x[1], 1, 2, 0, x)),
    excite.SpatialMean: Rule(lambda layer, x, y: Work(elementwise=math.prod(x)), lambda layer, x: (*x[:2], 1, 1)),
    excite.Scale: Rule(_each(1)),
    collapse.Collapsed: Rule(_collapsed, lambda layer, x: (x[0], 1, *x[2:])),
    step.Balance: Rule(_balance, lambda layer, *maps: maps[0]),
    step.Step: Rule(_each(2)),
    gap.ChannelScale: Rule(_each(1), lambda layer, x: (x[0], layer.scale.numel(), *x[2:])),
    gap.TokenPool: Rule(_each(0), lambda layer, x: (*x[:2], layer.tokens, layer.tokens)),
    gap.Outer: Rule(_product(lambda x: 1), lambda layer, q, k: (q[0], 1, q[1], k[1])),
    # Bilinear, from whatever size: two products and a sum along either axis; then a sum and a quotient.
    gap.RowResize: Rule(_each(8), lambda layer, m, x: (*m[:2], x[2], x[2 if layer.is_square else 3])),
    gap.Product: Rule(_product(lambda x: x[-1]), lambda layer, m, x: (*m[:-1], x[-1])),
    gap.Multiply: Rule(_each(1)),
    difference.Recombination: Rule(_recombination, lambda layer, origin, source: origin),
    difference.TemporalRecombination: Rule(_recombination, lambda layer, origin, features: origin),
    dynamic.DynamicFilter: Rule(_recombination, lambda layer, origin, source: origin),
    difference.HighPass: Rule(_high_pass),
    decomposition.MinPool2d: Rule(_each(0), lambda layer, x: _windowed(x[1], 2, 2, 0, x)),
    guide.SpatialPeak: Rule(_each(0), lambda layer, x: (*x[:2], 1, 1)),
    guide.ChannelPeak: Rule(_each(0), lambda layer, x: (x[0], 1, *x[2:])),
    guide.PeakNorm: Rule(_each(2)),
    guide.Modulate: Rule(
        lambda layer, x, y: Work(elementwise=(layer.num_gates + 2) * math.prod(y)), lambda layer, x, *rest: x
    ),
    patch.PatchPool: Rule(_each(0), lambda layer, x: layer.shape(x)),
    # A difference of two scores; ranking compares.
    patch.Decision: Rule(_each(1), lambda layer, x, *rest: (x[0], 1, *x[2:])),
    patch.PatchActivation: Rule(_patches, lambda layer, x, *rest: x),
    nn.BatchNorm2d: Rule(_each(2)),
    nn.BatchNorm3d: Rule(_each(2)),
    nn.PReLU: Rule(_each(1)),
    nn.ReLU: Rule(_each(0)),
    nn.LeakyReLU: Rule(_each(1)),
    # Like any table look-up: one for each element.
    nn.Sigmoid: Rule(_each(1)),
    # An exponential, a sum and a quotient.
    nn.Softmax: Rule(_each(3)),
    nn.Hardtanh: Rule(_each(0)),
    nn.AvgPool2d: Rule(_pool, _pool_shape),
    nn.MaxPool2d: Rule(_pool, _pool_shape),
    nn.Upsample: Rule(upsampled, _upsample_shape),
    nn.Identity: Rule(_each(0)),
}
BITS = (binary.BinaryConv2d, binary.DotBinaryConv2d)
"""Layers whose ``weight`` is stored as bits."""


def held(layer: nn.Module) -> Work:
    """What a layer stores: its binary weights as bits, every other learnt number in full."""
    num = sum(parameter.numel() for parameter in layer.parameters())
    bits = layer.weight.numel() if isinstance(layer, BITS) else 0
    # What was a convolution's weight before the network was deployed.
    num += layer.scale.numel() if isinstance(layer, gap.ChannelScale) else 0
    return Work(bits=bits, numbers=num - bits, constants=_constants(layer))


def _constants(layer: nn.Module) -> int:
    if not isinstance(layer, collapse.Collapsed):
        return 0
    # The merged kernels, and the edges of both convolutions, which stand for the whole of the second.
    wide, narrow = layer.expand.weight.shape[:2]
    edges = 4 * 3 * (wide * narrow + wide)
    return layer.taps_wk.numel() + layer.constant_w.numel() + edges - layer.project.weight.numel()
