"""Maps decomposed over their own differences (irnas.nn.decomposition) as ops.

No basis map of a filter is ever written: the op ``recombine`` makes one filter of them all, for each image.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import part
from irnas.deploy.export.draft import Draft, Term
from irnas.deploy.export.fold import ONNX
from irnas.nn.decomposition import SD2M, SD3M, InceptionPool, MinPool2d
from irnas.nn.difference import QUAD, Recombination

_KINDS_OF_QUAD = ("rows", "columns", "diagonal")
"""The kinds of ``pool`` that are the filters of ``QUAD``, in their order."""


def add_skip(draft: Draft, skip: nn.Module, x: int) -> int:
    """Append what stands on a skip connection and reads tensor ``x``; returns the tensor it writes.

    Raises:
        ExportError: a high-pass of the spectrum, or an orthonormal basis.
    """
    if isinstance(skip, nn.Identity):
        return x
    if not isinstance(skip, SD2M):
        raise ExportError(f"layer {type(skip).__name__}: got no lowering; {ONNX}")
    z = part.add_parts(draft, [skip.reduce], x)
    y = _add_recombination(draft, skip.recombine, part.add_parts(draft, [skip.origin], z), z)
    return part.add_parts(draft, [skip.restore], y)


def add_down(draft: Draft, down: nn.Module, x: int) -> int:
    """Append what halves tensor ``x``; returns the tensor it writes.

    Raises:
        ExportError: a convolution of a kernel that the format has not, or an orthonormal basis.
    """
    match down:
        case InceptionPool():
            share = draft.channels[x] // len(down.parts)
            groups = [draft.mix(Term(tensor=x, channels=share, start=n * share)) for n in range(len(down.parts))]
            halves = [add_down(draft, each, group) for each, group in zip(down.parts, groups, strict=True)]
            return draft.side_by_side(*halves)
        case SD3M():
            return _add_recombination(draft, down.recombine, part.add_parts(draft, [down.origin], x), x)
        case MinPool2d():
            return draft.add("pool", [x], draft.channels[x], kind="minimum")
    return part.add_parts(draft, [down], x)


def _add_recombination(draft: Draft, layer: Recombination, origin: int, source: int) -> int:
    if layer.orthogonal:
        raise ExportError(f"orthogonal: got true; must be false in a .xnor file; {ONNX}")
    channels, bank = draft.channels[source], layer.bank
    filters = [[list(tap) for tap in taps] for taps in bank.filters]
    inputs = [origin, source]
    if bank == QUAD:
        filters, inputs = [], [origin, *(draft.add("pool", [source], channels, kind=kind) for kind in _KINDS_OF_QUAD)]
    inputs += _extra_maps(draft, layer, source)
    return draft.add("recombine", inputs, channels, filters=filters)


def _extra_maps(draft: Draft, layer: Recombination, source: int) -> list[int]:
    channels = draft.channels[source]
    match layer.extra:
        case "none":
            return []
        case "max":
            return [draft.add("pool", [source], channels, kind="maximum")]
        case "contrast":
            ninth = np.full((channels, 3, 3, 1), 1 / 9)
            window = {"kernel": 3, "stride": 1, "groups": channels, "pad": 0}
            mean = draft.add("conv", [source], channels, {"weight": ninth}, **window)
            most = draft.add("maximum", [source], channels)
            return [part.add_total(draft, (most, 1.0), (mean, -1.0))]
    raise ExportError(f"extra basis map {layer.extra!r}: got no lowering; {ONNX}")
