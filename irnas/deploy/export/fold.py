"""Layer by layer, what a network does to one channel as a few float64 numbers.

Everything here is algebra on vectors; tests/unit/test_export_fold.py holds each step against torch in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from irnas.core.errors import ExportError
from irnas.deploy.export.draft import Slope, Vector
from irnas.nn.binary import BinaryConv2d
from irnas.nn.channel import ChannelAffine, ChannelShift, MaxOut, RPReLU
from irnas.nn.weight import binarize

ONNX = "export to .onnx instead (-o FILE.onnx)"


class Affine(NamedTuple):
    """x -> scale x + shift, per channel."""

    scale: Vector
    shift: Vector

    def then(self, after: Affine) -> Affine:
        """This one first, ``after`` second."""
        return Affine(after.scale * self.scale, after.scale * self.shift + after.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """An activation as w = y - knee, w (lo or hi by the sign of w) + shift; absent parts are 0, 1 and 0."""

    knee: Vector | None = None
    lo: Vector | None = None
    hi: Vector | None = None
    shift: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """A binary filter bank: scale N + shift T + bias, N and T as in irnas.nn.binary."""

    bits: npt.NDArray[np.uint8]
    """[O, K, K, ceil(Cg / 8)], FORMAT.md, rule A5."""
    scale: Vector
    shift: Vector | None
    bias: Vector
    """[O], or [4, 4, O] by border class."""

    def then(self, after: Affine) -> Filters:
        """The same bank with an affine map behind it."""
        shift = None if self.shift is None else self.shift * after.scale
        bias = self.bias * after.scale + after.shift
        return Filters(bits=self.bits, scale=self.scale * after.scale, shift=shift, bias=bias)


def to_vector(values: Tensor) -> Vector:
    """A tensor's numbers in float64, flat."""
    flat: Vector = values.detach().double().cpu().numpy().reshape(-1)
    return flat


def make_identity(channels: int) -> Affine:
    """x -> x."""
    return Affine(np.ones(channels), np.zeros(channels))


def affine_of(layer: nn.Module, channels: int) -> Affine:
    """A layer that is affine in each channel: ReDistribution, a shift, batch normalisation, nothing."""
    match layer:
        case ChannelAffine():
            return Affine(to_vector(layer.scale), to_vector(layer.shift))
        case ChannelShift():
            return Affine(np.ones(channels), to_vector(layer.shift))
        case nn.BatchNorm2d(running_mean=Tensor() as mean, running_var=Tensor() as variance):
            scale = to_vector(layer.weight) / np.sqrt(to_vector(variance) + layer.eps)
            return Affine(scale, to_vector(layer.bias) - to_vector(mean) * scale)
        case nn.Identity():
            return make_identity(channels)
    raise ExportError(f"layer {type(layer).__name__}: got no lowering; {ONNX}")


def bend_of(layer: nn.Module | None, channels: int) -> Bend | None:
    """An activation as two slopes; None where it is no such thing (Hardtanh has three)."""
    one, zero = np.ones(channels), np.zeros(channels)
    match layer:
        case None:
            return Bend()
        case nn.ReLU():
            return Bend(lo=zero, hi=one)
        case nn.PReLU():
            return Bend(lo=to_vector(layer.weight) * one, hi=one)
        case RPReLU():
            return Bend(knee=to_vector(layer.knee), lo=to_vector(layer.slope), hi=one, shift=to_vector(layer.shift))
        case MaxOut():
            return Bend(lo=to_vector(layer.below), hi=to_vector(layer.above))
        case nn.Hardtanh(min_val=-1.0, max_val=1.0):
            return None
    raise ExportError(f"activation {type(layer).__name__}: got no lowering; {ONNX}")


def filters_of(conv: BinaryConv2d) -> Filters:
    """Bits, scale and shift of a binary convolution, AdaBin's activation set included."""
    bits_ockk, scale, shift = weights_of(conv)
    bank = Filters(bits=pack_bits(bits_ockk), scale=scale, shift=shift, bias=np.zeros(conv.out_channels))
    if conv.set_scale is None or conv.set_shift is None:
        return bank
    size, start = float(conv.set_scale.detach()), float(conv.set_shift.detach())
    # a (+-1) + b: the second part meets every weight with a constant map, which differs at the border only.
    bias = start * _ones_by_border(bits_ockk, scale, shift, conv.pad)
    shift = None if shift is None else size * shift
    return Filters(bits=bank.bits, scale=size * scale, shift=shift, bias=bias)


def weights_of(conv: BinaryConv2d) -> tuple[Vector, Vector, Vector | None]:
    """+-1 [O, Cg, K, K], scale [O] and shift [O] or None, in the arithmetic that the network itself uses."""
    with torch.no_grad():
        bits, scale, shift = binarize(conv.weight, conv.binarizer, conv.weight_sign)
    scale = conv.scale if scale is None else scale
    scales = np.ones(conv.out_channels) if scale is None else to_vector(scale)
    return bits.double().cpu().numpy(), scales, None if shift is None else to_vector(shift)


def expand_weights(conv: BinaryConv2d) -> Vector:
    """The weights scale b + shift themselves, [O, K, K, Cg], for inputs that have no sign."""
    bits, scale, shift = weights_of(conv)
    weight_ockk = bits * scale[:, None, None, None]
    return np.moveaxis(weight_ockk if shift is None else weight_ockk + shift[:, None, None, None], 1, -1)


def pack_bits(bits_ockk: Vector) -> npt.NDArray[np.uint8]:
    """+-1 [O, Cg, K, K] as bits [O, K, K, ceil(Cg / 8)], 1 for -1."""
    if not np.isin(bits_ockk, (-1, 1)).all():
        raise ExportError(f"sign0: got a binary weight of 0; must be +-1 in a .xnor file; {ONNX}")
    return np.packbits(np.moveaxis(bits_ockk, 1, -1) < 0, axis=-1, bitorder="little")


def dot_slope(before: Affine | None, inner: Affine, act: Bend, residual: str) -> Slope:
    """A dot binary layer with all around it as one two-slope map of its input x.

    Args:
        before: ReDistribution, x' = before(x), or None for x' = x; the residual leaves behind it.
        inner: from x' to what the activation gets.
        act: the activation.
        residual: "after": act(y) + x'; "before": act(y + x'); "none": act(y).
    """
    if residual == "before":
        inner = Affine(inner.scale + 1, inner.shift)
    extra = 1.0 if residual == "after" else 0.0
    if act.lo is None or act.hi is None:
        total = Affine(inner.scale + extra, inner.shift)
        return Slope(**_line(total if before is None else before.then(total)))
    line = {} if before is None else _line(before)
    if act.knee is None and not inner.shift.any():
        # The activation bends where x' changes its sign: no second line is needed, only two slopes.
        steep, flat = inner.scale * act.hi + extra, inner.scale * act.lo + extra
        is_turned = inner.scale < 0
        return Slope(**line, lo=np.where(is_turned, steep, flat), hi=np.where(is_turned, flat, steep), c=act.shift)
    knee = np.zeros_like(inner.scale) if act.knee is None else act.knee
    bent = Affine(inner.scale, inner.shift - knee)
    bent = bent if before is None else before.then(bent)
    if not extra:
        return Slope(**_line(bent), lo=act.lo, hi=act.hi, c=act.shift)
    rest = make_identity(len(knee)) if before is None else before
    shift = rest.shift if act.shift is None else rest.shift + act.shift
    return Slope(**_line(bent), lo=act.lo, hi=act.hi, g=rest.scale, c=shift)


def _line(line: Affine) -> dict[str, Vector]:
    return {"a": line.scale, "b": line.shift}


def _ones_by_border(bits_ockk: Vector, scale: Vector, shift: Vector | None, pad: int) -> Vector:
    """The convolution of a map of ones, [O] or, where taps off the map count nothing, [4, 4, O] by border class."""
    sums_okk = bits_ockk.sum(1) * scale[:, None, None]
    if shift is not None:
        sums_okk = sums_okk + shift[:, None, None] * bits_ockk.shape[1]
    kernel = sums_okk.shape[-1]
    if kernel == 1 or pad:
        total: Vector = sums_okk.sum((1, 2))
        return total
    by_class = np.empty((4, 4, len(scale)))
    for row in range(4):
        for column in range(4):
            # Bit 0 of a class: the first tap lies off the map; bit 1: the last one does.
            rows = slice(row & 1, kernel - (row >> 1))
            columns = slice(column & 1, kernel - (column >> 1))
            by_class[row, column] = sums_okk[:, rows, columns].sum((1, 2))
    return by_class
