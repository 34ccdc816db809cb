"""What a network says of itself to those who train, count and export it: attributes it may have, and their defaults.

* ``frames``: how many frames of a sequence it looks at, the newest last; they are its input channels. Default 1.
* ``per_frame()``: a network of the same layers that does what one more frame takes, where features of earlier ones are
  kept; its cost is what a search sees.
* ``stride``: height and width must be multiples of it.
* ``learning_rate``: peak rate of AdamW at which it trains well. Default 1e-2, which suits binary layers.
* ``deploy()``: an equal network in eval mode that computes less; without it, a network is deployed as it is.
* ``loss(x_nchw, truth_n1hw)``: the loss of its paper, with whatever else the network computes on the way; a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from irnas.core.errors import DataError

LEARNING_RATE = 1e-2


def frames(network: nn.Module) -> int:
    """How many frames a network looks at; 1 for a network of single images."""
    return int(getattr(network, "frames", 1))


def stride(network: nn.Module) -> int:
    """What height and width must be multiples of."""
    return int(getattr(network, "stride", 1))


def learning_rate(network: nn.Module) -> float:
    """The peak learning rate that suits a network."""
    return float(getattr(network, "learning_rate", LEARNING_RATE))


def admitted(x_nchw: Tensor, channels: int, multiple: int) -> Tensor:
    """An input that a network of so many channels can take; one channel is repeated where more are due.

    Raises:
        DataError: another number of channels, or a height or width that is no multiple.
    """
    found, height, width = x_nchw.shape[1:]
    if height % multiple or width % multiple or not height or not width:
        raise DataError(f"network input: got {height}x{width} pixels; must be multiples of {multiple}")
    if found == channels:
        return x_nchw
    if found != 1:
        raise DataError(f"network input: got {found} channels; must be 1 or {channels}")
    return x_nchw.expand(-1, channels, -1, -1)


def deployed(network: nn.Module) -> nn.Module:
    """The network in eval mode as a device should run it: the same probabilities, and nothing that they do not need."""
    deploy: Callable[[], nn.Module] | None = getattr(network, "deploy", None)
    return (deploy() if deploy else network).eval()


def per_frame(network: nn.Module) -> nn.Module:
    """What one more frame of a sequence takes; the network itself where it keeps nothing of earlier ones."""
    newest: Callable[[], nn.Module] | None = getattr(network, "per_frame", None)
    return newest() if newest else network


def own_loss(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The loss of the network's paper as a function of its input and the truth; None where it has none."""
    found: Callable[[Tensor, Tensor], Tensor] | None = getattr(network, "loss", None)
    return found
