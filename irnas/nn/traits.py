"""What a network may say of itself to those who train, count and export it, and the check that it says it rightly.

Each trait is a Protocol of one attribute, and each is optional: a network has it or takes the default.

* ``frames``: how many frames of a sequence the network looks at, the newest last; they are its input channels.
  Default 1.
* ``per_frame()``: a network of the same layers that does what one more frame takes, where features of earlier frames
  are kept; its cost is what a search sees.
* ``stride``: height and width must be multiples of it. Default 1.
* ``halo``: how far away, in pixels, what a logit depends on lies at most; an image that is too large is then taken in
  parts. Default: anywhere in the image.
* ``learning_rate``: peak rate of AdamW at which the network trains well. Default 1e-2, which suits binary layers.
* ``deploy()``: an equal network in eval mode that computes less; without it, a network is deployed as it is.
* ``loss(x_nchw, truth_n1hw)``: what it trains with unless told otherwise, with whatever else it computes on the way; a
  scalar. Default: softiou+bce.
* ``paper_loss(x_nchw, truth_n1hw)``: the loss of its paper, where that is another one.

A misspelt trait would silently leave the default in force. So ``check`` refuses an attribute whose name is near that of
a trait without being one; what a network keeps for itself under such a name begins with an underscore.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from irnas.core.errors import DataError, SpaceError

LEARNING_RATE = 1e-2

_NEAR = 0.82
"""Similarity, in 0..1 by difflib, from which a name counts as a misspelt trait: one letter of six."""


@runtime_checkable
class HasFrames(Protocol):
    """A network that looks at a window of frames."""

    frames: int


@runtime_checkable
class HasStride(Protocol):
    """A network that takes only multiples of some number of pixels."""

    stride: int


@runtime_checkable
class HasHalo(Protocol):
    """A network whose logits look at their surroundings only."""

    halo: int


@runtime_checkable
class HasLearningRate(Protocol):
    """A network that knows at which rate it trains well."""

    learning_rate: float


@runtime_checkable
class HasLoss(Protocol):
    """A network that brings the loss that it trains well with."""

    def loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The loss on a batch; a scalar."""


@runtime_checkable
class HasPaperLoss(Protocol):
    """A network whose paper trains it with another loss than we do."""

    def paper_loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The paper's loss on a batch; a scalar."""


@runtime_checkable
class Deployable(Protocol):
    """A network with a cheaper form for the device."""

    def deploy(self) -> nn.Module:
        """An equal network in eval mode that computes less."""


@runtime_checkable
class Streaming(Protocol):
    """A network that keeps features of earlier frames."""

    def per_frame(self) -> nn.Module:
        """A network of the same layers that does what one more frame takes."""


def _is_count(value: object) -> bool:
    # True is an int in Python, and no number of frames.
    return type(value) is int and value >= 1


def _is_rate(value: object) -> bool:
    return type(value) in (int, float) and 0 < value <= 1  # type: ignore[operator] # mypy does not follow type() here


def _is_method(value: object) -> bool:
    # A submodule would be a part of the network, with a cost and weights of its own.
    return callable(value) and not isinstance(value, nn.Module)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "frames": (_is_count, "an integer of at least 1"),
    "stride": (_is_count, "an integer of at least 1"),
    "halo": (_is_count, "an integer of at least 1"),
    "learning_rate": (_is_rate, "a number above 0 and at most 1"),
    "loss": (_is_method, "a function of input and truth"),
    "paper_loss": (_is_method, "a function of input and truth"),
    "deploy": (_is_method, "a function without arguments"),
    "per_frame": (_is_method, "a function without arguments"),
}
"""For each trait: whether a value is one, and what it must be."""
TRAITS = tuple(_CHECKS)
"""The names of all traits."""


def check(network: nn.Module, family: str) -> None:
    """Refuse a network that says something of itself that nobody would understand.

    Raises:
        SpaceError: a trait has a value of the wrong type or out of range, or an attribute is named almost as a trait.
    """
    for name, (is_right, must_be) in _CHECKS.items():
        value = getattr(network, name, None)
        if hasattr(network, name) and not is_right(value):
            raise SpaceError(f"network {family}: got {name} = {value!r}; must be {must_be}")
    for name in _own_names(network):
        if near := _misspelt(name):
            raise SpaceError(f"network {family}: got {name}; did you mean {near} (else its name must begin with _)")


@functools.cache
def _misspelt(name: str) -> str:
    """The trait that a name is near to without being one; empty where there is none."""
    near = [] if name in TRAITS else difflib.get_close_matches(name.lower(), TRAITS, n=1, cutoff=_NEAR)
    return near[0] if near else ""


def _own_names(network: nn.Module) -> Iterator[str]:
    """The public attributes that are not torch's: of the instance, and of its classes down to those of torch."""
    for name in vars(network):
        if not name.startswith("_") and name != "training":
            yield name
    for cls in type(network).__mro__:
        if not cls.__module__.startswith("torch.") and cls is not object:
            yield from (name for name in vars(cls) if not name.startswith("_"))


def frames(network: nn.Module) -> int:
    """How many frames a network looks at; 1 for a network of single images."""
    return network.frames if isinstance(network, HasFrames) else 1


def stride(network: nn.Module) -> int:
    """What height and width must be multiples of."""
    return network.stride if isinstance(network, HasStride) else 1


def halo(network: nn.Module) -> int | None:
    """How far from a pixel, in pixels, what its logit depends on lies at most; None: anywhere in the image."""
    return network.halo if isinstance(network, HasHalo) else None


def learning_rate(network: nn.Module) -> float:
    """The peak learning rate that suits a network."""
    return network.learning_rate if isinstance(network, HasLearningRate) else LEARNING_RATE


def deploy(network: nn.Module) -> nn.Module:
    """The network in eval mode as a device should run it: the same probabilities, and nothing that they do not need."""
    return (network.deploy() if isinstance(network, Deployable) else network).eval()


def per_frame(network: nn.Module) -> nn.Module:
    """The network that one more frame of a sequence takes; itself where it keeps nothing of earlier frames."""
    return network.per_frame() if isinstance(network, Streaming) else network


def default_loss(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor] | None:
    """What the network trains with unless told otherwise, as a function of its input and the truth; None: any loss."""
    return network.loss if isinstance(network, HasLoss) else None


def own_loss(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The loss of the network's paper as a function of its input and the truth; None where it has none."""
    return network.paper_loss if isinstance(network, HasPaperLoss) else default_loss(network)


def admit(x_nchw: Tensor, channels: int, multiple: int) -> Tensor:
    """An input that a network of so many channels can take; one channel is repeated where more are due.

    Raises:
        DataError: another number of channels, or a height or width that is no multiple.
    """
    channels_of_x, height, width = x_nchw.shape[1:]
    if height % multiple or width % multiple or not height or not width:
        raise DataError(f"network input: got {height}x{width} pixels; must be multiples of {multiple}")
    if channels_of_x == channels:
        return x_nchw
    if channels_of_x != 1:
        raise DataError(f"network input: got {channels_of_x} channels; must be 1 or {channels}")
    return x_nchw.expand(-1, channels, -1, -1)
