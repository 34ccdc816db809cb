"""Binary layers and the parts of a U-shaped network made of them. Nothing here computes: the modules inside do.

A layer is: redistribute, binarise, convolve, normalise, then activation and residual in a chosen order. Two kinds:
``BC`` convolves signs with +-1 weights, ``DB`` scales each channel of the full-precision map (binary.py).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn import fused, fused_norm
from irnas.nn.binary import BinaryConv2d, DotBinaryConv2d
from irnas.nn.channel import (
    Add,
    Average,
    ChannelAffine,
    ChannelShift,
    Concat,
    MaxOut,
    RPReLU,
    SampleNorm,
    activation,
)
from irnas.nn.sign import Sign, WeightSign

KINDS = ("BC", "DB", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the layers of a network are made; the defaults are BiisNet's."""

    w_bin: str = "adabin"
    """Weight binariser of BC layers: weight.BINARIZERS."""
    a_bin: str = "sign"
    """What precedes the sign in BC layers: sign (nothing), rsign, affine, adabin, norm; or none for no sign at all."""
    est_a: str = "dysoftsign"
    est_w: str = "clip"
    k0: float = 1.0
    """Where the learnt sharpness of ``est_a`` starts; that of ``est_w`` starts at 1, latents being of unit size."""
    k_scope: str = "layer"
    """One learnt sharpness per ``layer`` or per ``channel``."""
    act_bc: str = "rprelu"
    act_db: str = "maxout"
    bn: bool = False
    out_affine: bool = False
    """One more learnt scale and shift per channel on what a convolution yields."""
    residual: str = "act_then_add"
    """act_then_add: act(y) + x. add_then_act: act(y + x). none: act(y)."""
    redist_shift: bool = False
    """One more learnt shift per channel wherever ReDistribution stands, on the branch but not on the residual."""
    db_norm: str = "rms"
    db_through: bool = True
    pad: int = 0
    at_zero: int = 1

    def __post_init__(self) -> None:
        for name, value, known in (
            ("a_bin", self.a_bin, ("sign", "rsign", "affine", "adabin", "norm", "none")),
            ("k_scope", self.k_scope, ("layer", "channel")),
            ("residual", self.residual, ("act_then_add", "add_then_act", "none")),
        ):
            if value not in known:
                raise SpaceError(f"{name}: got {value!r}; one of {', '.join(known)}")

    def sign(self, channels: int) -> Sign | None:
        """The sign of a map of so many channels; None where activations stay in full precision."""
        if self.a_bin == "none":
            return None
        return Sign(self.est_a, (1, self._scope(channels), 1, 1), at_zero=self.at_zero, k0=self.k0)

    def weight_sign(self, filters: int, *, axis: int = 0) -> WeightSign:
        """The sign of a filter bank whose filters lie along ``axis``."""
        shape = [1, 1, 1, 1]
        shape[axis] = self._scope(filters)
        return WeightSign(self.est_w, tuple(shape), at_zero=self.at_zero)

    def _scope(self, channels: int) -> int:
        return channels if self.k_scope == "channel" else 1


def body(channels: int, out_channels: int | None = None) -> Layer:
    """The binary layer that stands where another family has a 3x3 convolution with normalisation and activation.

    The residual stays in full precision: the map itself, or a 1x1 convolution of it where the channels change.
    """
    skip = "identity" if out_channels in (None, channels) else "fp"
    return Layer(Recipe(bn=True), "BC", channels, out_channels, skip=skip)


class Layer(nn.Module):
    """One binary layer; see the head of this file for the order of its parts.

    Args:
        kind: "BC" or "DB"; DB keeps the number of channels and the size.
        redist: whether a ReDistribution stands in front; the residual leaves after it.
        skip: what carries the residual: "identity", "none", "fp" (a full-precision 1x1 convolution) or "binary" (a 1x1
            binary one). With stride 2 the map is averaged 2x2 first.
    """

    def __init__(
        self,
        recipe: Recipe,
        kind: str,
        channels: int,
        out_channels: int | None = None,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        redist: bool = False,
        skip: str = "identity",
    ) -> None:
        super().__init__()
        out_channels = channels if out_channels is None else out_channels
        if kind not in ("BC", "DB"):
            raise SpaceError(f"layer kind: got {kind!r}; one of BC, DB")
        if (out_channels != channels or stride != 1) and kind == "DB":
            raise SpaceError(f"DB layer: got {channels} -> {out_channels} channels, stride {stride}; must keep both")
        if out_channels != channels and skip == "identity":
            raise SpaceError(f"layer with identity residual: got {channels} -> {out_channels} channels; must be equal")
        self.redist = ChannelAffine(channels) if redist else None
        self.branch = _branch(recipe, kind, channels, out_channels, kernel, stride, groups, redist)
        self.act = activation(recipe.act_bc if kind == "BC" else recipe.act_db, out_channels)
        self.act_first = recipe.residual == "act_then_add"
        wanted = recipe.residual != "none" and skip != "none"
        self.skip = _skip(recipe, skip, channels, out_channels, stride) if wanted else None
        self.add = Add() if wanted else None

    def forward(self, x_nchw: Tensor, *, share: float = 1.0, plus_nchw: Tensor | None = None) -> Tensor:
        """[N, c, H, W] to [N, out, H/stride, W/stride]; ``share`` of that plus another map, where that is asked for."""
        if fused.takes_part(self) and fused.suits(x_nchw) and fused.is_even(x_nchw):
            y_nchw = self._dot_fused(x_nchw, share, plus_nchw)
            if y_nchw is not None:
                return y_nchw
            y_nchw = self._forward_fused(x_nchw)
        else:
            x_nchw = x_nchw if self.redist is None else self.redist(x_nchw)
            y_nchw = self._finish(self.branch(x_nchw), None if self.skip is None else self.skip(x_nchw))
        y_nchw = y_nchw if share == 1 else y_nchw * share
        return y_nchw if plus_nchw is None else y_nchw + plus_nchw

    def _finish(self, y_nchw: Tensor, residual_nchw: Tensor | None) -> Tensor:
        act_first = self.act_first or residual_nchw is None
        if self.act is not None and act_first:
            y_nchw = self.act(y_nchw)
        if self.add is not None:
            y_nchw = self.add(y_nchw, residual_nchw)
        if self.act is not None and not act_first:
            y_nchw = self.act(y_nchw)
        return y_nchw

    def _dot_fused(self, x_nchw: Tensor, share: float, plus_nchw: Tensor | None) -> Tensor | None:
        """What ``forward`` gives, for a dot binary layer that one kernel knows; None for another."""
        first, last, act, redist = self.branch[0], self.branch[-1], self.act, self.redist
        adds_input = self.act_first and self.skip is not None and len(self.skip) == 0
        if not isinstance(first, DotBinaryConv2d) or not adds_input:
            return None
        scale, shift = (None, None) if redist is None else (redist.scale, redist.shift)
        if len(self.branch) == 1 and isinstance(act, MaxOut):
            gain = first.factors().flatten()
            return fused.dot(x_nchw, scale, shift, gain, act.above, act.below, share=share, plus_nchw=plus_nchw)
        if len(self.branch) == 2 and isinstance(act, MaxOut | RPReLU) and fused_norm.suits(last, x_nchw):
            gain = first.factors().flatten()
            return fused_norm.dot(x_nchw, scale, shift, gain, last, act, share=share, plus_nchw=plus_nchw)
        return None

    def _forward_fused(self, x_nchw: Tensor) -> Tensor:
        """The same with the kernels of fused.py and fused_norm.py wherever they know the parts."""
        first, last, act, redist = self.branch[0], self.branch[-1], self.act, self.redist
        scale, shift = (None, None) if redist is None else (redist.scale, redist.shift)
        sign = first.sign if isinstance(first, BinaryConv2d) and first.set_scale is None else None
        if isinstance(first, BinaryConv2d) and sign is not None and sign.estimator in fused.ESTIMATORS:
            x_nchw, signs = fused.prepare(x_nchw, scale, shift, sign.log_k, sign.estimator, sign.at_zero)
            y_nchw: Tensor = first.convolve(signs)
        else:
            x_nchw = x_nchw if redist is None else redist(x_nchw)
            y_nchw = first(x_nchw)
        residual = None if self.skip is None else self.skip(x_nchw)
        act_first = self.act_first or residual is None
        for part in list(self.branch)[1:]:
            if part is last and act_first and isinstance(act, MaxOut | RPReLU) and fused_norm.suits(part, y_nchw):
                return fused_norm.activate(y_nchw, part, act, residual)
            y_nchw = part(y_nchw)
        if isinstance(act, RPReLU) and act_first and fused.is_even(y_nchw):
            return fused.rprelu(y_nchw, act.knee, act.slope, act.shift, residual)
        return self._finish(y_nchw, residual)


def _branch(
    recipe: Recipe, kind: str, channels: int, out_channels: int, kernel: int, stride: int, groups: int, redist: bool
) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if redist and recipe.redist_shift:
        parts["shift"] = ChannelShift(channels)
    if kind == "BC":
        if recipe.a_bin not in ("sign", "adabin", "none"):
            parts["prepare"] = _prepare(recipe.a_bin, channels)
        parts["conv"] = BinaryConv2d(
            channels,
            out_channels,
            kernel,
            stride=stride,
            groups=groups,
            pad=recipe.pad,
            binarizer=recipe.w_bin,
            sign=recipe.sign(channels),
            weight_sign=recipe.weight_sign(out_channels),
            adaptive=recipe.a_bin == "adabin",
        )
    else:
        sign = recipe.weight_sign(channels, axis=1)
        parts["conv"] = DotBinaryConv2d(channels, weight_sign=sign, norm=recipe.db_norm, through=recipe.db_through)
    if recipe.bn:
        parts["norm"] = nn.BatchNorm2d(out_channels)
    if recipe.out_affine:
        parts["affine"] = ChannelAffine(out_channels)
    return nn.Sequential(parts)


def _prepare(a_bin: str, channels: int) -> nn.Module:
    match a_bin:
        case "rsign":
            return ChannelShift(channels)
        case "affine":
            return ChannelAffine(channels)
        case "norm":
            return SampleNorm()
    raise SpaceError(f"a_bin: got {a_bin!r}; one of rsign, affine, norm")


def _skip(recipe: Recipe, kind: str, channels: int, out_channels: int, stride: int) -> nn.Sequential:
    parts: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
    match kind:
        case "identity":
            pass
        case "fp":
            parts.append(nn.Conv2d(channels, out_channels, 1, bias=False))
        case "binary":
            parts.append(
                BinaryConv2d(
                    channels,
                    out_channels,
                    1,
                    binarizer=recipe.w_bin,
                    sign=recipe.sign(channels),
                    weight_sign=recipe.weight_sign(out_channels),
                    adaptive=recipe.a_bin == "adabin",
                )
            )
        case _:
            raise SpaceError(f"shortcut: got {kind!r}; one of identity, none, fp, binary")
    if recipe.bn and kind != "identity":
        parts.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*parts)


class Down(nn.Module):
    """c to out channels at half the size: pool, then one layer per copy of the channels, concatenated.

    Args:
        pool: average, maximum or plain subsampling; None where the layers have stride 2 themselves.
        units: one or two layers that each see all channels.
    """

    def __init__(self, pool: nn.Module | None, units: list[nn.Module]) -> None:
        super().__init__()
        self.pool, self.units = pool, nn.ModuleList(units)
        self.concat = Concat() if len(units) > 1 else None

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, out, H/2, W/2]."""
        if self.pool is not None:
            x_nchw = self.pool(x_nchw)
        parts: list[Tensor] = [unit(x_nchw) for unit in self.units]
        y_nchw: Tensor = parts[0] if self.concat is None else self.concat(*parts)
        return y_nchw


class Up(nn.Module):
    """out to c channels at twice the size: interpolate, split the channels, one layer per part, average."""

    def __init__(self, mode: str, units: list[nn.Module]) -> None:
        super().__init__()
        align = False if mode == "bilinear" else None
        self.scale = nn.Upsample(scale_factor=2, mode=mode, align_corners=align)
        self.units = nn.ModuleList(units)
        self.average = Average() if len(units) == 2 else None

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, out, H, W] to [N, c, 2H, 2W]."""
        if self.average is not None and fused.takes_part(self) and fused.suits(x_nchw):
            # Channels are interpolated alone, and the map that is split is smaller ahead of it.
            parts = [self.scale(fused.laid_out(part)) for part in x_nchw.chunk(2, 1)]
            return _average(self.average, self.units, parts)
        parts = self.scale(x_nchw).chunk(len(self.units), 1)
        maps: list[Tensor] = [unit(part) for unit, part in zip(self.units, parts, strict=True)]
        y_nchw: Tensor = maps[0] if self.average is None else self.average(*maps)
        return y_nchw


def _average(average: nn.Module, units: nn.ModuleList, maps: list[Tensor]) -> Tensor:
    """The average of what two units make of a map each; fused, the second layer adds its half to the first's."""
    first, second = units
    are_layers = isinstance(first, Layer) and isinstance(second, Layer)
    is_fused = are_layers and fused.takes_part(second) and fused.suits(maps[1])
    if is_fused and maps[0].shape == maps[1].shape:
        y_nchw: Tensor = second(maps[1], share=0.5, plus_nchw=first(maps[0], share=0.5))
    else:
        y_nchw = average(first(maps[0]), second(maps[1]))
    return y_nchw


class Fuse(nn.Module):
    """Two maps of c channels to one: a layer each and the average, or with one layer a convolution over both."""

    def __init__(self, units: list[nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.average = Average() if len(units) == 2 else None
        self.concat = Concat() if len(units) == 1 else None

    def forward(self, up_nchw: Tensor, skip_nchw: Tensor) -> Tensor:
        """Two maps [N, c, H, W] to one of the same shape."""
        if self.concat is not None:
            y_nchw: Tensor = self.units[0](self.concat(up_nchw, skip_nchw))
        elif self.average is not None:
            y_nchw = _average(self.average, self.units, [up_nchw, skip_nchw])
        return y_nchw
