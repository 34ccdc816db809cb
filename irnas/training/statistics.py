"""Batch normalisation's statistics, estimated anew for weights as they are.

Running averages are those of weights that a training has left behind. Binary weights flip their signs from step to
step, so the averages fit them badly: of equal weights, a network that was validated with running averages reached half
of the mIoU that it has with statistics estimated for it. Estimating them takes a pass over some crops, without
gradients.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from irnas.nn import fused


def normalisations(network: nn.Module) -> list[_BatchNorm]:
    """The layers of a network that keep batch statistics."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


@torch.no_grad()
def estimate_statistics(network: nn.Module, inputs_nchw: Iterable[Tensor]) -> None:
    """Replace the statistics that batch normalisation keeps by their mean over batches; nothing without such layers.

    Args:
        network: stays in the mode in which it is.
        inputs_nchw: batches as those of the training, at least one; none is drawn where there is nothing to estimate.
    """
    layers = normalisations(network)
    if not layers:
        return
    was_training, momenta = network.training, [layer.momentum for layer in layers]
    network.train()
    try:
        for layer in layers:
            layer.reset_running_stats()
            # The plain mean over all batches.
            layer.momentum = None
        with fused.quick():
            for x_nchw in inputs_nchw:
                network(x_nchw)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        network.train(was_training)
