"""The semantic-gap module (irnas.nn.gap) as ops: tokens of two maps, a vector of each, and the matrix of these."""

from __future__ import annotations

import numpy as np
from torch import nn

from irnas.deploy.export import fold
from irnas.deploy.export.draft import Draft
from irnas.nn.gap import ChannelScale, SemanticGap


def add_gap(draft: Draft, gap: SemanticGap, x: int, shallow: int, deep: int) -> int:
    """Append a module that reads X in tensor ``x``, the encoder's map and the decoder's; returns the tensor of Z.

    What ``restore`` adds is the same along each row, so the softmax drops it.
    """
    side, channels = gap.pool.tokens, draft.channels[x]
    query = _add_vector(draft, gap.query_squeeze, gap.query, side, shallow)
    key = _add_vector(draft, gap.key_squeeze, gap.key, side, deep)
    scale = gap.restore.scale if isinstance(gap.restore, ChannelScale) else gap.restore.get_parameter("weight")
    form = "matrix" if gap.resize.is_square else "gate"
    return draft.add("attend", [x, query, key], channels, {"scale": fold.to_vector(scale).reshape(-1)}, form=form)


def _add_vector(draft: Draft, squeeze: nn.Conv2d, dense: nn.Linear, side: int, x: int) -> int:
    constants = {"weight": fold.to_vector(squeeze.weight).reshape(-1), "bias": _bias(squeeze)}
    cells = draft.add("tokens", [x], side * side, constants, side=side)
    weight_dt = fold.to_vector(dense.weight).reshape(dense.out_features, -1)
    constants = {"weight": weight_dt[:, None, None, :], "bias": _bias(dense)}
    return draft.add("conv", [cells], len(weight_dt), constants, kernel=1, stride=1, groups=1, pad=0)


def _bias(layer: nn.Conv2d | nn.Linear) -> np.ndarray:
    assert layer.bias is not None
    return fold.to_vector(layer.bias)
