"""A network as a model of the .xnor format."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from irnas.core.errors import ExportError, FormatError
from irnas.core.provenance import code_revision
from irnas.deploy.export.draft import round_constants
from irnas.deploy.export.lower import Lowered, lower
from irnas.runtime import format, reference
from irnas.runtime.container import DATA_MOST
from irnas.runtime.format import Model, Reference
from irnas.runtime.value_range import ValueRange

_SIDE = 24
"""Least height of the reference run: enough for every border and for a few pixels that see none."""
_SEED = 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a file says of where its network comes from."""

    name: str
    trial: str = ""
    data_rev: str = ""
    counts: ValueRange | None = None
    """How images of more than 8 bits became those it was trained on; None where there were none."""
    threshold: float = format.HALF
    """A target is where the probability exceeds it."""


def convert(network: nn.Module, channels: int, origin: Origin) -> tuple[Model, Lowered]:
    """A network in eval mode as a model of the .xnor format, its reference run included, and the graph it came from.

    Args:
        network: one of irnas.models.
        channels: of the input.
        origin: for the file's metadata.

    Raises:
        ExportError: the format has no faithful form of the network, or its values overflow.
    """
    graph = lower(network, channels)
    ops = round_constants(graph.ops)
    size = sum(part.nbytes for op in ops for part in op.constants.values())
    if size > DATA_MOST:
        raise ExportError(f"{origin.name}: got {size} bytes of weights; must be at most {DATA_MOST} in a .xnor file")
    accepted = graph.accept(channels, origin.counts)
    height, width = (-(-side // graph.multiple) * graph.multiple for side in (_SIDE, _SIDE + graph.multiple))
    run = Reference(height=height, width=width, seed=_SEED, input_sha256="0" * 64, output_sha256="0" * 64)
    model = Model(
        input=accepted,
        ops=ops,
        reference=run,
        name=origin.name,
        trial=origin.trial,
        data_rev=origin.data_rev,
        exporter=f"irnas {code_revision()}",
        threshold=origin.threshold,
    )
    try:
        format.check(ops, accepted)
    except FormatError as error:
        raise ExportError(f"{origin.name}: got a graph beyond the .xnor format ({error}); must be within it") from error
    return replace(model, reference=_reference(model)), graph


def count_bytes(network: nn.Module, channels: int) -> int:
    """The size of a network's file, but for its name and what else is known of where it comes from.

    Raises:
        ExportError: the format has no faithful form of the network.
    """
    graph, none = lower(network, channels), "0" * 64
    # Nobody repeats the reference run of a file that is not kept; here only its text takes room.
    side = graph.multiple
    run = Reference(height=side, width=side, seed=_SEED, input_sha256=none, output_sha256=none)
    accepted = graph.accept(channels)
    try:
        return len(format.write(Model(input=accepted, ops=round_constants(graph.ops), reference=run)))
    except FormatError as error:
        raise ExportError(f"network: got a graph beyond the .xnor format ({error}); must be within it") from error


def _reference(model: Model) -> Reference:
    run = model.reference
    x_hwc = reference.make_reference_input(run.height, run.width, model.input.channels, run.seed)
    output_hwc = reference.run(model, x_hwc)
    if not np.isfinite(output_hwc).all():
        raise ExportError(f"{model.name} on its reference input: got NaN; must be finite everywhere")
    return replace(run, input_sha256=reference.digest(x_hwc), output_sha256=reference.digest(output_hwc))
