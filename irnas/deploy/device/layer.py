"""What a network of any family does for an image, layer by layer, for the prices of ONNX Runtime.

Coarser than ``work``, its neighbour: that engine's kernels are not ours, so each type of layer has a price for being
there, one for a multiply-accumulate and one for a value that it writes.
"""

from __future__ import annotations

import math
from collections import defaultdict

from irnas import cost
from irnas.core.space import Genotype
from irnas.deploy.device.work import Steps


def count_steps(genotype: Genotype, input_chw: tuple[int, int, int]) -> Steps:
    """The layers, their multiply-accumulates and the values they write, by type; in millions.

    Raises:
        SpaceError: a layer type that irnas.cost.rules has no rule for.
    """
    counts: defaultdict[str, float] = defaultdict(float)
    for layer in cost.survey(genotype, input_chw).layers:
        counts[f"{layer.type} layer"] += 1e-6
        counts[f"{layer.type} value"] += math.prod(layer.shape) / 1e6
        if layer.work.macs:
            counts[f"{layer.type} MAC"] += layer.work.macs / 1e6
    return counts
