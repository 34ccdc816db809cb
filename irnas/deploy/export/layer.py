"""One binary layer (irnas.nn.block.Layer) as ops: what stands in front, the convolution, and all behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import fold
from irnas.deploy.export.draft import Draft, Slope, Term
from irnas.deploy.export.fold import ONNX, Affine, Bend, Filters
from irnas.nn.binary import BinaryConv2d, DotBinaryConv2d
from irnas.nn.block import Layer
from irnas.nn.channel import SampleNorm


def add_layer(draft: Draft, layer: Layer, x: int) -> int:
    """Append a layer that reads tensor ``x``; returns the tensor it writes."""
    channels = draft.channels[x]
    slope = slope_of(layer, channels)
    if slope is not None:
        return draft.mix(Term(tensor=x, channels=channels, slope=slope))
    if isinstance(layer.branch.conv, DotBinaryConv2d):
        return _clamped_dot(draft, layer, x)
    return _binary(draft, layer, x)


def slope_of(layer: Layer, channels: int) -> Slope | None:
    """A dot binary layer as a two-slope map; None for other layers, and where its activation has three slopes."""
    act = fold.bend_of(layer.act, draft_width(layer, channels))
    if act is None or not isinstance(layer.branch.conv, DotBinaryConv2d):
        return None
    return fold.dot_slope(_before(layer, channels), _inner(layer, channels), act, _residual(layer))


def draft_width(layer: Layer, channels: int) -> int:
    """The channels that a layer yields."""
    conv = layer.branch.conv
    return conv.out_channels if isinstance(conv, BinaryConv2d) else channels


def _residual(layer: Layer) -> str:
    if layer.add is None:
        return "none"
    return "after" if layer.act_first else "before"


def _before(layer: Layer, channels: int) -> Affine | None:
    """ReDistribution."""
    return None if layer.redist is None else fold.affine_of(layer.redist, channels)


def _inner(layer: Layer, channels: int) -> Affine:
    """From behind the ReDistribution to the activation of a dot binary layer."""
    inner = fold.make_identity(channels)
    for part in layer.branch.children():
        if isinstance(part, DotBinaryConv2d):
            inner = inner.then(Affine(fold.to_vector(part.factors()), np.zeros(channels)))
        else:
            inner = inner.then(fold.affine_of(part, channels))
    return inner


def _clamped_dot(draft: Draft, layer: Layer, x: int) -> int:
    """A dot binary layer with Hardtanh: a line, the clamp, and the residual."""
    channels, residual = draft.channels[x], _residual(layer)
    before = _before(layer, channels)
    slope = fold.dot_slope(before, _inner(layer, channels), Bend(), "before" if residual == "before" else "none")
    y = draft.mix(Term(tensor=x, channels=channels, slope=slope))
    y = draft.add("clamp", [y], channels)
    return _plus(draft, y, x, before) if residual == "after" else y


def _plus(draft: Draft, y: int, x: int, before: Affine | None) -> int:
    """y + before(x)."""
    channels = draft.channels[y]
    slope = Slope() if before is None else Slope(a=before.scale, b=before.shift)
    return draft.mix(Term(tensor=y, channels=channels), Term(tensor=x, channels=channels, slope=slope))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A convolution layer taken apart."""

    conv: BinaryConv2d
    source: int
    """The tensor that the convolution reads."""
    threshold: Affine | None
    """What is left to do to it before the sign."""
    after: Affine
    """Between convolution and activation."""
    residual: str
    skip: int
    """The tensor that the residual reads."""
    before: Affine | None
    """What is left to do to that."""


def _binary(draft: Draft, layer: Layer, x: int) -> int:
    """A layer with a binary convolution, on signs or on full-precision maps."""
    plan = _plan(draft, layer, x)
    width = plan.conv.out_channels
    act = fold.bend_of(layer.act, width)
    if plan.conv.sign is None:
        return _full(draft, plan, act)
    if act is not None:
        return _block(draft, plan, act, plan.residual)
    y = _block(draft, plan, Bend(), "before" if plan.residual == "before" else "none")
    y = draft.add("clamp", [y], width)
    return _plus(draft, y, plan.skip, plan.before) if plan.residual == "after" else y


def _plan(draft: Draft, layer: Layer, x: int) -> _Plan:
    channels, conv = draft.channels[x], layer.branch.conv
    assert isinstance(conv, BinaryConv2d)
    before = _before(layer, channels)
    source, threshold = _prepared(draft, layer, x, before)
    parts = [part for name, part in layer.branch.named_children() if name in ("norm", "affine")]
    after = fold.make_identity(conv.out_channels)
    for part in parts:
        after = after.then(fold.affine_of(part, conv.out_channels))
    skip, left = _skip(draft, layer, x, before)
    return _Plan(
        conv=conv, source=source, threshold=threshold, after=after, residual=_residual(layer), skip=skip, before=left
    )


def _prepared(draft: Draft, layer: Layer, x: int, before: Affine | None) -> tuple[int, Affine | None]:
    """The tensor in front of the sign and what is still to be done to it."""
    channels, pending = draft.channels[x], before
    for name, part in layer.branch.named_children():
        if name == "conv":
            break
        if isinstance(part, SampleNorm):
            x, pending = draft.add("center", [_applied(draft, x, pending)], channels), None
        else:
            step = fold.affine_of(part, channels)
            pending = step if pending is None else pending.then(step)
    conv = layer.branch.conv
    assert isinstance(conv, BinaryConv2d)
    if conv.sign is None:
        return _applied(draft, x, pending), None
    return x, _threshold(conv, pending, channels)


def _threshold(conv: BinaryConv2d, pending: Affine | None, channels: int) -> Affine | None:
    """With AdaBin's activation set the sign is taken of (x - b) / a."""
    assert conv.sign is not None
    if conv.sign.at_zero == 0:
        raise ExportError(f"sign0: got 0; must be 1 in a .xnor file, where a sign is one bit; {ONNX}")
    if conv.set_scale is None or conv.set_shift is None:
        return pending
    size, start = float(conv.set_scale.detach()), float(conv.set_shift.detach())
    if size == 0:
        raise ExportError("AdaBin's activation set: got a scale of 0; must be another number")
    sign = np.full(channels, np.sign(size))
    step = Affine(sign, -sign * start)
    return step if pending is None else pending.then(step)


def _applied(draft: Draft, x: int, pending: Affine | None) -> int:
    if pending is None:
        return x
    return draft.mix(Term(tensor=x, channels=draft.channels[x], slope=Slope(a=pending.scale, b=pending.shift)))


def _skip(draft: Draft, layer: Layer, x: int, before: Affine | None) -> tuple[int, Affine | None]:
    """The tensor that the residual reads, and what is still to be done to it."""
    if layer.skip is None:
        return x, before
    assert isinstance(layer.skip, nn.Sequential)
    parts = list(layer.skip)
    if parts and isinstance(parts[0], nn.AvgPool2d):
        # The mean of an affine map is the affine map of the mean, so ReDistribution can wait.
        x = draft.add("pool", [x], draft.channels[x], kind="average")
        parts = parts[1:]
    if not parts:
        return x, before
    channels, (conv, *rest) = draft.channels[x], parts
    assert isinstance(conv, nn.Conv2d | BinaryConv2d)
    after = fold.affine_of(rest[0], conv.out_channels) if rest else fold.make_identity(conv.out_channels)
    if isinstance(conv, BinaryConv2d):
        return _binary_skip(draft, conv, x, before, after), None
    weight_oc = fold.to_vector(conv.weight).reshape(conv.out_channels, channels) * after.scale[:, None]
    shift = after.shift if before is None else after.shift + weight_oc @ before.shift
    weight_oc = weight_oc if before is None else weight_oc * before.scale
    constants = {"weight": weight_oc[:, None, None, :], "bias": shift}
    return draft.add("conv", [x], conv.out_channels, constants, kernel=1, stride=1, groups=1, pad=0), None


def _binary_skip(draft: Draft, conv: BinaryConv2d, x: int, before: Affine | None, after: Affine) -> int:
    threshold = None if conv.sign is None else _threshold(conv, before, draft.channels[x])
    source = _applied(draft, x, before) if conv.sign is None else x
    plan = _Plan(conv=conv, source=source, threshold=threshold, after=after, residual="none", skip=x, before=None)
    return _full(draft, plan, Bend()) if conv.sign is None else _block(draft, plan, Bend(), "none")


def _block(draft: Draft, plan: _Plan, act: Bend, residual: str) -> int:
    """The op binary_block; see FORMAT.md, rule A7, for what its constants do."""
    conv, bank = plan.conv, fold.filters_of(plan.conv).then(plan.after)
    constants: dict[str, Any] = {"bits": bank.bits, "scale": bank.scale, "bias": _bias(bank, act, plan, residual)}
    if bank.shift is not None:
        constants["shift"] = bank.shift
    if plan.threshold is not None:
        constants |= {"sign_scale": plan.threshold.scale, "sign_shift": plan.threshold.shift}
    if act.lo is not None:
        constants |= {"lo": act.lo, "hi": act.hi}
    if residual != "none" and plan.before is not None:
        constants["g"] = plan.before.scale
    shift = act.shift
    if residual == "after" and plan.before is not None:
        shift = plan.before.shift if shift is None else shift + plan.before.shift
    if shift is not None:
        constants["c"] = shift
    draft.blocks.append(conv)
    return draft.add(
        "binary_block",
        [plan.source] if residual == "none" else [plan.source, plan.skip],
        conv.out_channels,
        constants,
        kernel=conv.kernel,
        stride=conv.stride,
        groups=conv.groups,
        pad=conv.pad if conv.kernel > 1 else 0,
        residual=residual,
        channels=conv.in_channels,
    )


def _bias(bank: Filters, act: Bend, plan: _Plan, residual: str) -> Any:
    bias = bank.bias if act.knee is None else bank.bias - act.knee
    # Ahead of the activation the residual's own shift is one with the bias.
    return bias + plan.before.shift if residual == "before" and plan.before is not None else bias


def _full(draft: Draft, plan: _Plan, act: Bend | None) -> int:
    """A convolution of binary weights on a map in full precision: an ordinary one with the weights spelt out."""
    conv, width = plan.conv, plan.conv.out_channels
    weight = fold.expand_weights(conv) * plan.after.scale[:, None, None, None]
    before = plan.before
    y = draft.add(
        "conv",
        [plan.source],
        width,
        {"weight": weight, "bias": plan.after.shift},
        kernel=conv.kernel,
        stride=conv.stride,
        groups=conv.groups,
        pad=conv.pad if conv.kernel > 1 else 0,
    )
    if plan.residual == "before":
        y = _plus(draft, y, plan.skip, before)
    if act is None:
        y = draft.add("clamp", [y], width)
        return _plus(draft, y, plan.skip, before) if plan.residual == "after" else y
    bent = _bent(act, width)
    if plan.residual != "after":
        return draft.mix(Term(tensor=y, channels=width, slope=bent))
    slope = Slope() if before is None else Slope(a=before.scale, b=before.shift)
    return draft.mix(Term(tensor=y, channels=width, slope=bent), Term(tensor=plan.skip, channels=width, slope=slope))


def _bent(act: Bend, channels: int) -> Slope:
    line = {} if act.knee is None else {"a": np.ones(channels), "b": -act.knee}
    return Slope(**line, lo=act.lo, hi=act.hi, c=act.shift)
