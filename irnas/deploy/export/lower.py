"""A trained network as a graph of the .xnor format.

The graph is made in float64 (``lower``) and rounded once (draft.round_constants). Nothing is approximated: up to the
rounding of its constants and of its sums, the graph computes what the network computes.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from dataclasses import dataclass

from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import family
from irnas.deploy.export.draft import Draft
from irnas.deploy.export.fold import ONNX
from irnas.runtime.format import Input
from irnas.runtime.graph import Op
from irnas.runtime.value_range import ValueRange
from irnas.training.prediction import PAD

FAMILIES = tuple(sorted(module.name for module in pkgutil.iter_modules(family.__path__)))
"""The families whose networks may have a form in .xnor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A network as a graph."""

    ops: tuple[Op, ...]
    """Constants in float64; ``round_constants`` makes them what a file holds."""
    multiple: int
    """Height and width of the input must be multiples of it."""
    blocks: tuple[nn.Module, ...]
    """The convolution behind each op binary_block, in order."""

    def accept(self, channels: int, counts: ValueRange | None = None) -> Input:
        """The images that a file of the graph takes, extended as they are on their way through the network."""
        return Input(channels=channels, multiple=self.multiple, pad=math.lcm(PAD, self.multiple), counts=counts)


def lower(model: nn.Module, channels: int) -> Lowered:
    """The graph of a network.

    Args:
        model: in eval mode; its parameters decide, in their own precision, which bits the weights have.
        channels: of the input: the network's own number, or 1 where it would repeat one.

    Raises:
        ExportError: the format has no faithful form of the network; the message names the way out.
    """
    if model.training:
        raise ExportError("network: got one in training mode; must be in eval mode")
    package, _, name = type(model).__module__.rpartition(".")
    if package != "irnas.models" or name not in FAMILIES:
        raise ExportError(f"network {type(model).__name__}: got no lowering to .xnor; {ONNX}")
    known = {1, int(getattr(model, "in_channels", 1))}
    if channels not in known:
        raise ExportError(f"input channels: got {channels}; must be {' or '.join(map(str, sorted(known)))}")
    draft = Draft(channels)
    logits = importlib.import_module(f"{family.__name__}.{name}").draw(draft, model)
    draft.add("sigmoid", [logits], 1)
    return Lowered(ops=draft.finish(), multiple=int(getattr(model, "stride", 1)), blocks=tuple(draft.blocks))
