"""Gradients of deep networks on their way back.

A gradient estimator passes on what it is given, and a normalisation divides by a deviation that may be next to nothing:
a layer of a binary network can multiply the gradient by hundreds, and some dozens of them leave the range of a float.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

GRADIENT_LIMIT = 1e8
"""The largest derivative of the loss by an element of a map that a layer is given.

It is far more than there is where training gets anywhere; and the square of a parameter's gradient, which optimisers
keep, stays a float with it."""


def limit_gradients(layer: nn.Module) -> None:
    """Scale down the gradient that ``layer`` is given in training wherever an element of it exceeds ``GRADIENT_LIMIT``.

    Its direction stays, and a gradient within the limit stays bit for bit.
    """
    layer.register_forward_hook(_limit)


def _limit(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
    if layer.training and output.requires_grad:
        output.register_hook(_scaled_down)  # type: ignore[no-untyped-call]


def _scaled_down(grad: Tensor) -> Tensor | None:
    # Torch copies a map before it reduces it in another order than that of memory, which takes ten times as long.
    is_channels_last = grad.dim() == 4 and grad.is_contiguous(memory_format=torch.channels_last)
    low, high = (grad.permute(0, 2, 3, 1) if is_channels_last else grad).aminmax()
    largest = torch.maximum(-low, high)
    # On a CPU one look at the map is all that a gradient within the limit costs; a GPU would wait for an answer.
    if grad.device.type == "cpu" and largest <= GRADIENT_LIMIT:
        return None
    return grad * (GRADIENT_LIMIT / torch.clamp(largest, min=GRADIENT_LIMIT))
