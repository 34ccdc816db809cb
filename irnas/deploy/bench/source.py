"""A network to be timed, in whatever form an engine wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from irnas.core.errors import SettingsError
from irnas.runtime import format

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

BLOCK = "block"
BLOCKS = 4
"""Binary blocks of a chain."""


@dataclass(slots=True, kw_only=True)
class Source:
    """One network and one image; what an engine cannot be given is None."""

    name: str
    image_hw: npt.NDArray[np.uint8]
    network: Any = None
    """torch.nn.Module in eval mode."""
    model: format.Model | None = None
    """As a .xnor file holds it."""
    onnx: bytes | None = None
    make_onnx: Callable[[], bytes] | None = field(default=None, repr=False)
    channels: int = 1

    def onnx_file(self) -> bytes:
        """The network as an .onnx file, made on demand."""
        if self.onnx is None:
            if self.make_onnx is None:
                raise SettingsError("got no .onnx file; must be an .onnx file or SPACE:POINT")
            self.onnx = self.make_onnx()
        return self.onnx

    def x_nchw(self) -> npt.NDArray[np.float32]:
        """The image as a network takes it."""
        import numpy as np

        x_hw = self.image_hw.astype(np.float32) / np.float32(255)
        return np.broadcast_to(x_hw, (1, self.channels, *x_hw.shape)).copy()


def from_space(name: str, image_hw: npt.NDArray[np.uint8]) -> Source:
    """A point of a space, ``SPACE:POINT``, with random weights."""
    import torch

    from irnas import models
    from irnas.core import catalog

    space, _, point = name.partition(":")
    catalog.admit_code(space)
    genotype = catalog.find_point(space, point)
    torch.manual_seed(0)
    return _source(name, models.build(genotype).eval(), image_hw)


def from_weights(name: str, image_hw: npt.NDArray[np.uint8]) -> Source:
    """The network in a file of weights."""
    from irnas.deploy.export import source

    return _source(name, source.from_weights(name, None).network, image_hw)


def from_run(name: str, image_hw: npt.NDArray[np.uint8]) -> Source:
    """The trained network of a run, ``RUN:KEY``; see irnas.record.selection for what names it."""
    from irnas.deploy.export import source

    uri, _, key = name.rpartition(":")
    return _source(name, source.restore_trained(uri, key)[2], image_hw)


def from_block(name: str, image_hw: npt.NDArray[np.uint8], blocks: int = BLOCKS) -> Source:
    """``block:C`` or ``block:C,axis=value,...``: stem, a chain of BiisNet's blocks with C channels, head.

    All parameters are random, so that no engine may leave out a factor that is 1 or a sum that is 0. Without blocks it
    is what surrounds the chain.
    """
    import torch

    from irnas.core import catalog
    from irnas.models import biisnet

    width, _, axes = name.partition(":")[2].partition(",")
    if not width.isdecimal() or not 1 <= int(width) <= 4096:
        raise SettingsError(f"model: got {name!r}; must be {BLOCK}:C with C channels, 1..4096")
    values = {**catalog.find_point("biisnet", axes or "LIT10").values, "stages": 0, "base": int(width), "n_bot": blocks}
    torch.manual_seed(0)
    return _source(name, moved_from_start(biisnet.build(values).eval()), image_hw)


def moved_from_start(network: Any) -> Any:
    """The network with its numbers a channel changed at random, in place: as after training none is 0 or 1, so that an
    engine can leave nothing out."""
    import torch

    with torch.no_grad():
        for part in network.parameters():
            if part.ndim == 1:
                part.add_(0.1 * torch.randn_like(part))
    return network


def _source(name: str, network: Any, image_hw: npt.NDArray[np.uint8]) -> Source:
    from irnas.core.errors import ExportError
    from irnas.deploy.export import onnx, write

    origin, channels = write.Origin(name=name), int(getattr(network, "in_channels", 1))

    def make_onnx() -> bytes:
        content: bytes = onnx.convert(network, onnx.input_of(network, channels), origin).SerializeToString()
        return content

    model = None
    try:
        model = write.convert(network, 1, origin)[0]
    except ExportError:
        pass  # a family without a form in .xnor runs on the other engines all the same
    return Source(name=name, image_hw=image_hw, network=network, model=model, make_onnx=make_onnx, channels=channels)
