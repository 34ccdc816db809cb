"""SGEM U-Net as a graph of the .xnor format, with the semantic-gap module or an ordinary skip connection for it."""

from __future__ import annotations

from torch import nn

from irnas.deploy.export import part
from irnas.deploy.export.attention import add_gap
from irnas.deploy.export.draft import Draft
from irnas.models.sgem_unet import SgemUnet


def draw(draft: Draft, model: nn.Module) -> int:
    """Append the ops of a network to a draft; returns the tensor of its logits."""
    assert isinstance(model, SgemUnet)
    x, skips = 0, list[int]()
    for level, block in enumerate(model.enc):
        x = part.add_parts(draft, [model.pool, block] if level else [block], x)
        skips.append(x)
    skips.pop()
    for level in reversed(range(len(skips))):
        if model.gap is not None and level == model.gap_level:
            large = part.add_parts(draft, [model.gap.value, model.up[level]], x)
            x = add_gap(draft, model.gap, large, skips[level], x)
        else:
            x = draft.side_by_side(part.add_parts(draft, [model.up[level]], x), skips[level])
        x = part.add_parts(draft, [model.dec[level]], x)
    return part.add_conv(draft, model.head, x)
