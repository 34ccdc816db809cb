"""BiisNet as a graph of the .xnor format. One function for each part of a network (irnas.nn.block)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import fold
from irnas.deploy.export.draft import Draft, Term, Vector
from irnas.deploy.export.fold import ONNX
from irnas.deploy.export.layer import add_layer, slope_of
from irnas.models.biisnet import BiisNet
from irnas.nn.block import Down, Fuse, Layer, Up
from irnas.nn.channel import Subsample
from irnas.nn.contrast import GAIN, LocalContrast


def draw(draft: Draft, model: nn.Module) -> int:
    """Append the ops of a network to a draft; returns the tensor of its logits."""
    assert isinstance(model, BiisNet)
    x = _stem(draft, model, draft.channels[0])
    x = _project(draft, model.embed, x)
    skips = []
    for blocks, down in zip(model.enc, model.down, strict=True):
        x = _chain(draft, blocks, x)
        skips.append(x)
        assert isinstance(down, Down)
        x = _down(draft, down, x)
    x = _chain(draft, model.bottom, x)
    for level in reversed(range(len(skips))):
        up, fuse = model.up[level], model.fuse[level]
        assert isinstance(up, Up) and isinstance(fuse, Fuse)
        x = _fuse(draft, fuse, _up(draft, up, x), skips[level])
        x = _chain(draft, model.dec[level], x)
    x = _project(draft, model.project, x)
    weight = fold.to_vector(model.head.weight).reshape(model.head.weight.shape)
    if model.attenuate is not None:
        weight = weight * model.attenuate.gain
    return _conv(draft, np.moveaxis(weight, 1, -1), x)


def _stem(draft: Draft, model: BiisNet, channels: int) -> int:
    weight, x = np.moveaxis(fold.to_vector(model.stem.weight).reshape(model.stem.weight.shape), 1, -1), 0
    if isinstance(model.contrast, LocalContrast):
        sides = list(model.contrast.sides)
        x = draft.add("contrast", [draft.mix(Term(tensor=0, channels=1))], len(sides), sides=sides)
        weight = weight * GAIN
    elif channels < model.in_channels:
        # One image three times over is one image under the sum of the filters.
        weight = weight.sum(-1, keepdims=True)
    if model.amplify is not None:
        weight = weight * model.amplify.gain
    return _conv(draft, weight, x)


def _project(draft: Draft, layer: nn.Module, x: int) -> int:
    match layer:
        case nn.Identity():
            return x
        case nn.Conv2d():
            return _conv(draft, np.moveaxis(fold.to_vector(layer.weight).reshape(layer.weight.shape), 1, -1), x)
        case Layer():
            return add_layer(draft, layer, x)
    raise ExportError(f"projection {type(layer).__name__}: got no lowering; {ONNX}")


def _conv(draft: Draft, weight_okkc: Vector, x: int) -> int:
    filters, kernel = weight_okkc.shape[:2]
    return draft.add("conv", [x], filters, {"weight": weight_okkc}, kernel=kernel, stride=1, groups=1, pad=0)


def _chain(draft: Draft, layers: nn.Module, x: int) -> int:
    for layer in layers.children():
        assert isinstance(layer, Layer)
        x = add_layer(draft, layer, x)
    return x


def _down(draft: Draft, down: Down, x: int) -> int:
    if down.pool is not None:
        x = draft.add("pool", [x], draft.channels[x], kind=_pooling(down.pool))
    source = Term(tensor=x, channels=draft.channels[x])
    terms = [_unit(draft, unit, source) for unit in down.units]
    return draft.concat(*terms) if len(terms) > 1 else draft.mix(*terms)


def _pooling(layer: nn.Module) -> str:
    match layer:
        case nn.AvgPool2d():
            return "average"
        case nn.MaxPool2d():
            return "maximum"
        case Subsample():
            return "first"
    raise ExportError(f"pooling {type(layer).__name__}: got no lowering; {ONNX}")


def _up(draft: Draft, up: Up, x: int) -> int:
    x = draft.add("upsample", [x], draft.channels[x], kind=up.scale.mode)
    share = draft.channels[x] // len(up.units)
    parts = [Term(tensor=x, channels=share, start=n * share) for n in range(len(up.units))]
    return _average(draft, [_unit(draft, unit, part) for unit, part in zip(up.units, parts, strict=True)])


def _fuse(draft: Draft, fuse: Fuse, x: int, skip: int) -> int:
    parts = [Term(tensor=tensor, channels=draft.channels[tensor]) for tensor in (x, skip)]
    if fuse.concat is not None:
        return _chain(draft, fuse.units, draft.concat(*parts))
    return _average(draft, [_unit(draft, unit, part) for unit, part in zip(fuse.units, parts, strict=True)])


def _average(draft: Draft, terms: Sequence[Term]) -> int:
    return draft.mix(*terms) if len(terms) == 1 else draft.mix(*(term.halved() for term in terms))


def _unit(draft: Draft, unit: nn.Module, source: Term) -> Term:
    """What a unit yields, left as a map of its input where it is no more than that."""
    if isinstance(unit, nn.Identity):
        return source
    assert isinstance(unit, Layer)
    slope = slope_of(unit, source.channels)
    if slope is not None:
        return replace(source, slope=slope)
    y = add_layer(draft, unit, draft.mix(source))
    return Term(tensor=y, channels=draft.channels[y])
