"""SGEM U-Net as a graph of the .xnor format, where it has ordinary skip connections alone.

The semantic-gap module has none: a grid of tokens, a softmax and a product of matrices are no ops of the format.
"""

from __future__ import annotations

from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import part
from irnas.deploy.export.draft import Draft
from irnas.deploy.export.fold import ONNX
from irnas.models.sgem_unet import SgemUnet


def draw(draft: Draft, model: nn.Module) -> int:
    """Append the ops of a network to a draft; returns the tensor of its logits.

    Raises:
        ExportError: the network has the semantic-gap module.
    """
    assert isinstance(model, SgemUnet)
    if model.gap is not None:
        raise ExportError(f"sgem: got true; must be false in a .xnor file; {ONNX}")
    x, skips = 0, list[int]()
    for level, block in enumerate(model.enc):
        x = part.add_parts(draft, [model.pool, block] if level else [block], x)
        skips.append(x)
    skips.pop()
    for level in reversed(range(len(skips))):
        x = part.add_parts(draft, [model.up[level]], x)
        x = part.add_parts(draft, [model.dec[level]], draft.side_by_side(x, skips[level]))
    return part.add_conv(draft, model.head, x)
