"""SD2Net as a graph of the .xnor format: a U between two smaller ones, skip connections that are decomposed."""

from __future__ import annotations

from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import part
from irnas.deploy.export.decomposition import add_down, add_skip
from irnas.deploy.export.draft import Draft
from irnas.deploy.export.fold import ONNX
from irnas.deploy.export.rsu import add_rsu
from irnas.models.sd2net import Residual, SD2Net, Up


def draw(draft: Draft, model: nn.Module) -> int:
    """Append the ops of a network to a draft; returns the tensor of its logits.

    Raises:
        ExportError: a point with ``kernel=fourier``, ``orthogonal=true``, ``sd3m_origin=wide`` or ``head=7x7``.
    """
    assert isinstance(model, SD2Net)
    return draw_features(draft, model, 0)


def draw_features(draft: Draft, model: SD2Net, x: int) -> int:
    """Append a network that reads the image in tensor ``x``; returns the tensor of its result."""
    x, maps = add_rsu(draft, model.enter, x), list[int]()
    for down, encoder in zip(model.down, model.encoder, strict=True):
        maps.append(x)
        assert isinstance(encoder, Residual)
        x = _residual(draft, encoder, add_down(draft, down, x))
    for level in reversed(range(len(maps))):
        decoder = model.decoder[level]
        assert isinstance(decoder, Up)
        x = _up(draft, decoder, x, add_skip(draft, model.skip[level], maps[level]), maps[level])
    x = add_rsu(draft, model.leave, x)
    if not isinstance(model.head, nn.Conv2d):
        raise ExportError(f"head: got 7x7; must be 1x1 in a .xnor file; {ONNX}")
    return part.add_conv(draft, model.head, x)


def _residual(draft: Draft, layer: Residual, x: int) -> int:
    y, shortcut = part.add_parts(draft, [layer.branch], x), part.add_parts(draft, [layer.shortcut], x)
    return part.add_parts(draft, [layer.act], part.add_total(draft, (y, 1.0), (shortcut, 1.0)))


def _up(draft: Draft, layer: Up, deep: int, skip: int, encoded: int) -> int:
    large = part.add_parts(draft, [layer.scale], deep)
    if layer.add is not None:
        large = part.add_total(draft, (large, 1.0), (encoded, 1.0))
    gate = part.add_parts(draft, [layer.gate], skip)
    gated = draft.add("multiply", [gate, large], draft.channels[gate])
    return part.add_parts(draft, [layer.units], draft.side_by_side(skip, gated))
