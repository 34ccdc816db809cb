"""What a network costs on a device, before anybody trains it: its counts, and the size of the file that it becomes."""

from __future__ import annotations

import torch

from irnas import cost, models
from irnas.core import own_code
from irnas.core.errors import ExportError
from irnas.core.space import Genotype
from irnas.cost.count import Chw
from irnas.deploy.export.lower import FAMILIES
from irnas.deploy.export.write import count_bytes


def price(genotype: Genotype, input_chw: Chw) -> dict[str, float]:
    """The costs of a network by the names of the objectives of kind ``cost``.

    ``bytes`` is the size of its .xnor file, but for what a file says of where it comes from; of a network that has no
    such form it is that of its numbers, as ``irnas.cost`` counts them.

    Raises:
        SpaceError: the network cannot be built, or not for that input.
    """
    costs = cost.price(genotype, input_chw)
    size = count_xnor_bytes(genotype, input_chw[0])
    return costs if size is None else {**costs, "bytes": float(size)}


def count_xnor_bytes(genotype: Genotype, channels: int) -> int | None:
    """The size of the .xnor file of a network for images of that many channels; None where it has none."""
    if genotype.family not in FAMILIES and not own_code.is_own(genotype.family):
        return None
    # Whoever prices networks may be about to draw random numbers.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = models.build(models.with_channels(genotype, channels)).eval()
        for parameter in network.parameters():
            # As after training, where no shift is exactly 0 and none can be left out of the file.
            parameter.add_(0.01)
    try:
        return count_bytes(network, channels)
    except ExportError:
        return None
