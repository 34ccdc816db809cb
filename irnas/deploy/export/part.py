"""Layers of torch in full precision as ops: convolutions with their normalisation, activations, sums of maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import fold
from irnas.deploy.export.draft import Draft, Slope, Term, Vector
from irnas.deploy.export.fold import ONNX, Affine
from irnas.deploy.export.layer import add_layer
from irnas.nn.block import Layer


def add_parts(draft: Draft, parts: Sequence[nn.Module], x: int) -> int:
    """Append layers that follow each other and read tensor ``x``; returns the tensor that the last one writes."""
    waiting = [part for part in _flat(parts) if not isinstance(part, nn.Identity)]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, nn.Conv2d):
            norm = waiting.pop(0) if waiting and isinstance(waiting[0], nn.BatchNorm2d) else nn.Identity()
            x = add_conv(draft, part, x, fold.affine_of(norm, part.out_channels))
        elif isinstance(part, Layer):
            x = add_layer(draft, part, x)
        else:
            x = _add_alone(draft, part, x)
    return x


def add_conv(draft: Draft, conv: nn.Conv2d, x: int, after: Affine | None = None) -> int:
    """Append a convolution and what is affine behind it.

    Raises:
        ExportError: a window that the format has not.
    """
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    window = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    if kernel not in (1, 3) or stride not in (1, 2):
        raise ExportError(f"layer {conv}: got no lowering; {ONNX}")
    if window != ((kernel,) * 2, (stride,) * 2, (kernel // 2,) * 2, (1, 1)) or conv.padding_mode != "zeros":
        raise ExportError(f"layer {conv}: got no lowering; {ONNX}")
    weight_okkc, bias = weights_of(conv, after)
    if draft.channels[x] == 1 and conv.groups == 1:
        # One image several times over is one image under the sum of the filters.
        weight_okkc = weight_okkc.sum(-1, keepdims=True)
    constants = {"weight": weight_okkc} if not bias.any() else {"weight": weight_okkc, "bias": bias}
    attributes = {"kernel": kernel, "stride": stride, "groups": conv.groups, "pad": 0}
    return draft.add("conv", [x], conv.out_channels, constants, **attributes)


def weights_of(conv: nn.Conv2d, after: Affine | None = None) -> tuple[Vector, Vector]:
    """The weights [O, K, K, Cg] and shifts [O] of a convolution with what is affine behind it."""
    after = fold.make_identity(conv.out_channels) if after is None else after
    weight = fold.to_vector(conv.weight).reshape(conv.weight.shape) * after.scale[:, None, None, None]
    bias = np.zeros(conv.out_channels) if conv.bias is None else fold.to_vector(conv.bias)
    return np.moveaxis(weight, 1, -1), bias * after.scale + after.shift


def add_total(draft: Draft, *terms: tuple[int, float]) -> int:
    """Append the sum of maps of one shape, each times a number, in their order."""
    (x, times), *rest = terms
    channels = draft.channels[x]
    total = _times(x, channels, times)
    for tensor, weight in rest:
        total = Term(tensor=draft.mix(total, _times(tensor, channels, weight)), channels=channels)
    return draft.mix(total)


def _times(tensor: int, channels: int, times: float) -> Term:
    slope = Slope() if times == 1 else Slope(a=np.full(channels, times), b=np.zeros(channels))
    return Term(tensor=tensor, channels=channels, slope=slope)


def _add_alone(draft: Draft, part: nn.Module, x: int) -> int:
    """Append a layer that acts on each channel alone."""
    channels = draft.channels[x]
    match part:
        case nn.ReLU() | nn.LeakyReLU():
            low = getattr(part, "negative_slope", 0.0)
            slope = Slope(lo=np.full(channels, low), hi=np.ones(channels))
            return draft.mix(Term(tensor=x, channels=channels, slope=slope))
        case nn.MaxPool2d() | nn.AvgPool2d() if (part.kernel_size, part.stride, part.padding) == (2, 2, 0):
            return draft.add("pool", [x], channels, kind="maximum" if isinstance(part, nn.MaxPool2d) else "average")
        case nn.Upsample(mode="nearest" | "bilinear") if part.scale_factor == 2 and not part.align_corners:
            return draft.add("upsample", [x], channels, kind=part.mode)
        case nn.Sigmoid():
            return draft.add("sigmoid", [x], channels)
        case nn.BatchNorm2d():
            norm = fold.affine_of(part, channels)
            return draft.mix(Term(tensor=x, channels=channels, slope=Slope(a=norm.scale, b=norm.shift)))
    raise ExportError(f"layer {type(part).__name__}: got no lowering; {ONNX}")


def _flat(parts: Sequence[nn.Module]) -> list[nn.Module]:
    """The layers of nested sequences in order."""
    flat: list[nn.Module] = []
    for part in parts:
        flat += _flat(list(part)) if isinstance(part, nn.Sequential) else [part]
    return flat
