"""From a network to the content of a file: lowered, written, run, and compared with the network it came from.

A file that would change a metric is never returned; see ``parity``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from irnas.deploy.export import onnx, parity, write
from irnas.deploy.export.parity import Parity
from irnas.deploy.export.source import Source
from irnas.runtime import format
from irnas.runtime.session import Session

SUFFIXES = (".xnor", ".onnx")
"""The formats of exported files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The content of a file and what is known of it."""

    content: bytes
    num_ops: int
    """Of the graph in the file."""
    reference: str = ""
    """SHA-256 of what the file yields on its reference input, which a .xnor file names; empty for a .onnx file."""
    parity: Parity | None = None
    """How the file differs from the network; None where there are no images to compare on."""

    def document(self) -> dict[str, Any]:
        """The facts as --json prints them."""
        return {
            "ops": self.num_ops,
            **({"reference": self.reference} if self.reference else {}),
            **({"parity": self.parity.document()} if self.parity else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxForm:
    """What may be chosen of a .onnx file."""

    opset: int | None = None
    """The version of ONNX's operators; None for torch's own choice."""
    batch: int | None = 1
    """Images of a call; None for any number."""


def convert(source: Source, suffix: str, channels: int, images: int, form: OnnxForm | None = None) -> Exported:
    """Convert a network to the content of a file and hold it against the network.

    Args:
        source: the network, and the data set whose split ``val`` the two are compared on.
        suffix: one of ``SUFFIXES``.
        channels: of the file's input.
        images: most validation images to compare on.
        form: of a .onnx file.

    Raises:
        ExportError: the network has no such form, or one that would change a metric.
    """
    if suffix == ".xnor":
        return _xnor(source, channels, images)
    return _onnx(source, channels, images, form or OnnxForm())


def open_session(source: Source) -> Session:
    """A network in ONNX Runtime, converted in memory; takes seconds.

    Raises:
        ExportError: torch cannot export it, or a package of the extra ``export`` is absent.
    """
    proto = onnx.convert(source.network, onnx.input_of(source.network, 1), source.origin)
    return Session(proto.SerializeToString())


def _xnor(source: Source, channels: int, images: int) -> Exported:
    model, graph = write.convert(source.network, channels, source.origin)
    run, engine = parity.make_runner(model)
    comparison = None
    if (split := source.split) is not None:
        comparison = parity.compare(source.network, run, engine, split, source.rules, images)
        few = [split.image(i) for i in range(min(parity.SIGN_IMAGES, comparison.images))]
        rate = parity.sign_flip_rate(source.network, model, graph.blocks, run, engine, few)
        comparison = replace(comparison, sign_flip_rate=rate)
        model = replace(model, parity=comparison.document())
    return Exported(
        content=format.write(model),
        num_ops=len(model.ops),
        reference=model.reference.output_sha256,
        parity=comparison,
    )


def _onnx(source: Source, channels: int, images: int, form: OnnxForm) -> Exported:
    accepted = onnx.input_of(source.network, channels)
    proto = onnx.convert(source.network, accepted, source.origin, opset=form.opset, batch=form.batch)
    run, engine = onnx.make_runner(proto)
    comparison = None
    if (split := source.split) is not None:
        comparison = parity.compare(source.network, run, engine, split, source.rules, images)
        onnx.annotate(proto, {"parity": json.dumps(comparison.document(), sort_keys=True)})
    return Exported(content=bytes(proto.SerializeToString()), num_ops=len(proto.graph.node), parity=comparison)
