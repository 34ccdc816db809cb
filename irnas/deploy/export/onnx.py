"""A network as an .onnx file, which ONNX Runtime runs. Every family has this way; the extra ``export`` brings it."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import ExportError
from irnas.core.provenance import code_revision
from irnas.deploy.export.parity import Run
from irnas.deploy.export.write import Origin
from irnas.nn import difference, traits  # noqa: F401 # difference registers the operator irnas::solve
from irnas.nn.binary import BinaryConv2d, DotBinaryConv2d
from irnas.nn.weight import binarize
from irnas.runtime.format import HALF, Input
from irnas.runtime.session import Session
from irnas.training.prediction import PAD

INPUT, OUTPUT = "x_nchw", "probability_n1hw"
# The converter of versions logs a traceback where it cannot go; what it wrote is looked at instead.
_QUIET = {"torch.onnx": logging.ERROR, "onnxscript.version_converter": logging.CRITICAL}
LEAST_OPSET = 17
"""The first opset that files may have: that of ONNX 1.12, of 2022."""


def convert(
    network: nn.Module, accepted: Input, origin: Origin, *, opset: int | None = None, batch: int | None = 1
) -> Any:
    """A network in eval mode as an ONNX model (onnx.ModelProto): float32 [N, C, H, W] to probabilities [N, 1, H, W].

    Height and width are free, in multiples of ``accepted.multiple``. Binary weights are spelt out as floats.

    Args:
        network: one of irnas.models.
        accepted: what the network takes.
        origin: for the file's metadata.
        opset: the version of ONNX's operators, ``LEAST_OPSET`` or more; None for torch's own choice.
        batch: N; None leaves it free.

    Raises:
        ExportError: torch cannot export the network so, or the packages of the extra are absent.
    """
    for package in ("onnx", "onnxscript"):
        _need(package)
    from irnas.deploy.export.elimination import eliminate

    wrapped = _Probability(freeze_weights(traits.deploy(network))).eval()
    side = 4 * accepted.multiple
    # torch takes an example of one image for a network of one image alone.
    example = torch.rand(batch or 2, accepted.channels, side, side + accepted.multiple)
    # Under their common multiple the sides are free; without it torch would have to prove that halving is exact.
    free = {2: accepted.multiple * torch.export.Dim("rows"), 3: accepted.multiple * torch.export.Dim("columns")}
    if batch is None:
        free[0] = torch.export.Dim("batch")
    with _silence(), torch.no_grad():
        try:
            program = torch.onnx.export(
                wrapped,
                (example,),
                dynamo=True,
                opset_version=opset,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(free,),
                custom_translation_table={torch.ops.irnas.solve.default: eliminate},
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ExportError(f"{origin.name}: got {type(error).__name__} from torch.onnx ({reason})") from error
    assert program is not None
    # Each look at it makes a new one.
    proto = program.model_proto
    written = next(each.version for each in proto.opset_import if each.domain in ("", "ai.onnx"))
    if opset is not None and written != opset:
        # Where torch's converter cannot go, it leaves the version that it began with.
        raise ExportError(
            f"{origin.name}: got opset {written} from torch.onnx for {opset}; must be one that it can write"
        )
    if written < 18:
        _split_evenly(proto)
    return _cleaned(proto, accepted, traits.frames(network), origin)


def annotate(proto: Any, facts: Mapping[str, str]) -> None:
    """Write or overwrite facts in a model's metadata."""
    known = {item.key: item for item in proto.metadata_props}
    for key, value in facts.items():
        item = known.get(key) or proto.metadata_props.add()
        item.key, item.value = key, value


def make_runner(proto: Any) -> tuple[Run, str]:
    """ONNX Runtime with the model loaded, one thread, and its name."""
    session = Session(proto.SerializeToString())
    return lambda image: session.run(image[None])[0], session.facts.kernels


def input_of(network: nn.Module, channels: int) -> Input:
    """What a network takes: its stride is the multiple of its sides, the frames of a window are its channels."""
    stride, frames = traits.stride(network), traits.frames(network)
    return Input(channels=channels if frames == 1 else frames, multiple=stride, pad=math.lcm(PAD, stride))


def freeze_weights(network: nn.Module) -> nn.Module:
    """A copy whose binary weights are constants, computed once, and not a graph of their own."""
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BinaryConv2d):
                setattr(parent, name, _Convolution(child))
            elif isinstance(child, DotBinaryConv2d):
                setattr(parent, name, _Factors(child))
    return copied


class _Probability(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x_nchw: Tensor) -> Tensor:
        logits: Tensor = self.network(x_nchw)
        return logits.sigmoid()


class _Factors(nn.Module):
    factors: Tensor

    def __init__(self, layer: DotBinaryConv2d) -> None:
        super().__init__()
        self.register_buffer("factors", layer.factors().detach())

    def forward(self, x_nchw: Tensor) -> Tensor:
        return x_nchw * self.factors


class _Convolution(nn.Module):
    """BinaryConv2d with its weight as one constant."""

    weight: Tensor
    scale: Tensor | None

    def __init__(self, layer: BinaryConv2d) -> None:
        super().__init__()
        self.sign, self.stride, self.groups = layer.sign, layer.stride, layer.groups
        self.margin = layer.kernel // 2
        self.set = None
        if layer.set_scale is not None and layer.set_shift is not None:
            self.set = float(layer.set_scale.detach()), float(layer.set_shift.detach())
        size, start = self.set or (1.0, 0.0)
        self.outside = size * layer.pad + start * abs(layer.pad)
        with torch.no_grad():
            bits, scale, shift = binarize(layer.weight, layer.binarizer, layer.weight_sign)
        scale = layer.scale.detach() if scale is None and layer.scale is not None else scale
        if scale is not None and shift is not None:
            bits, scale = bits * scale + shift, None
        # Without a shift the sums stay whole numbers, and one that is zero is exactly zero.
        self.register_buffer("weight", bits)
        self.register_buffer("scale", None if scale is None else scale.reshape(1, -1, 1, 1))

    def forward(self, x_nchw: Tensor) -> Tensor:
        if self.set is not None:
            x_nchw = (x_nchw - self.set[1]) / self.set[0]
        if self.sign is not None:
            x_nchw = self.sign(x_nchw)
        if self.set is not None:
            x_nchw = x_nchw * self.set[0] + self.set[1]
        margin = self.margin
        if margin and self.outside:
            x_nchw, margin = F.pad(x_nchw, (margin,) * 4, value=self.outside), 0
        y_nchw = F.conv2d(x_nchw, self.weight, stride=self.stride, padding=margin, groups=self.groups)
        return y_nchw if self.scale is None else y_nchw * self.scale


def _split_evenly(proto: Any) -> None:
    """Drop the count of parts that Split has from opset 18 on, and that ONNX's converter leaves behind.

    Without it and without sizes an older Split cuts even parts, as many as it has outputs.
    """
    for node in proto.graph.node:
        if node.op_type == "Split":
            kept = [each for each in node.attribute if each.name != "num_outputs"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _cleaned(proto: Any, accepted: Input, frames: int, origin: Origin) -> Any:
    """Without the paths and line numbers of this machine that torch notes on every node, and with what users need."""
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info, *proto.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    del proto.graph.metadata_props[:]
    del proto.metadata_props[:]
    proto.producer_name, proto.producer_version = "irnas", code_revision()
    annotate(
        proto,
        {
            "name": origin.name,
            "trial": origin.trial,
            "data_rev": origin.data_rev,
            "multiple": str(accepted.multiple),
            "pad": str(accepted.pad),
            "frames": str(frames),
            **({} if (counts := origin.counts) is None else {"counts": json.dumps([counts.low, counts.high])}),
            **({} if origin.threshold == HALF else {"threshold": json.dumps(origin.threshold)}),
        },
    )
    return proto


@contextmanager
def _silence() -> Iterator[None]:
    """Torch's exporter tells of its own deprecations and of packages that nobody asked for."""
    loggers = [(logging.getLogger(name), level) for name, level in _QUIET.items()]
    before = [logger.level for logger, _ in loggers]
    try:
        for logger, level in loggers:
            logger.setLevel(level)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for (logger, _), level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _need(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExportError(f".onnx: got no package {package}; must be installed: pip install 'irnas[export]'") from error
