"""A chain of binary blocks for OpenVINO's BinaryConvolution, which packs signs and counts bits as the engine does.

OpenVINO has no importer for this op: the graph is written here, op by op. Its CPU plugin fuses scale, PReLU and
residual into the convolution. What it has no fused form of (weights with a shift, other borders) is refused.

A single convolution is right with OpenVINO 2026.4.1 at 16, 32 and 64 channels; what its plugin makes of the whole chain
is not, so the comparison that goes ahead of timing refuses it.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from irnas.core.errors import SettingsError
from irnas.runtime.format import Model
from irnas.runtime.graph import Op


def convert(model: Model, height: int, width: int) -> Any:
    """The openvino.Model of a chain, float32 [1, C, H, W] to probabilities [1, 1, H, W].

    Raises:
        SettingsError: an op that it has no fused form of.
        ImportError: no package openvino.
    """
    openvino: Any = importlib.import_module("openvino")
    ops: Any = importlib.import_module("openvino.opset8")
    image = ops.parameter([1, model.input.channels, height, width], np.float32)
    tensors = [image]
    for op in model.ops:
        x = tensors[op.inputs[0]]
        if op.kind == "conv" and op.attributes["groups"] == 1 and op.attributes["pad"] == 0:
            tensors.append(_conv(ops, op, x))
        elif op.kind == "binary_block":
            tensors.append(_block(openvino, op, x, tensors[op.inputs[-1]]))
        elif op.kind == "sigmoid":
            tensors.append(ops.sigmoid(x))
        else:
            raise SettingsError(f"got an op {op.kind}; must be block:C,w_bin=xnor_mean")
    return openvino.Model([tensors[-1]], [image])


def _conv(ops: Any, op: Op, x: Any) -> Any:
    weight = np.ascontiguousarray(np.moveaxis(op.constants["weight"], -1, 1))
    margin, stride = [op.attributes["kernel"] // 2] * 2, [op.attributes["stride"]] * 2
    y = ops.convolution(x, weight, stride, margin, margin, [1, 1])
    return ops.add(y, _channel(op.constants["bias"])) if "bias" in op.constants else y


def _block(openvino: Any, op: Op, x: Any, residual: Any) -> Any:
    ops: Any = importlib.import_module("openvino.opset8")
    binary: Any = importlib.import_module("openvino.opset1")
    constants, required = op.constants, {"stride": 1, "groups": 1, "pad": 0, "residual": "after"}
    other = [name for name, value in required.items() if op.attributes[name] != value]
    other += [role for role in ("shift", "sign_scale", "g", "post_g") if role in constants]
    if other or constants["bias"].ndim > 1:
        raise SettingsError(f"got a block with another {', '.join(other) or 'bias'}; must be block:C,w_bin=xnor_mean")
    channels, kernel = op.attributes["channels"], op.attributes["kernel"]
    bits_okkc = 1 - np.unpackbits(constants["bits"], axis=-1, count=channels, bitorder="little")
    shape = openvino.Shape([len(bits_okkc), channels, kernel, kernel])
    packed = np.packbits(np.moveaxis(bits_okkc, -1, 1).reshape(-1), bitorder="little")
    weight = openvino.op.Constant(openvino.Tensor(packed, shape, openvino.Type.u1))
    zero, one, margin = np.float32(0), np.float32(1), [kernel // 2] * 2
    signs = ops.fake_quantize(x, zero, zero, zero, one, 2)
    y = binary.binary_convolution(signs, weight, [1, 1], margin, margin, [1, 1], "xnor-popcount", 0.0)
    y = ops.add(ops.multiply(y, _channel(constants["scale"])), _channel(constants["bias"]))
    y = ops.add(_bend(ops, y, constants.get("lo"), constants.get("hi")), residual)
    y = ops.add(y, _channel(constants["c"])) if "c" in constants else y
    if "post_a" in constants:
        y = ops.add(ops.multiply(y, _channel(constants["post_a"])), _channel(constants["post_b"]))
    y = _bend(ops, y, constants.get("post_lo"), constants.get("post_hi"))
    return ops.add(y, _channel(constants["post_c"])) if "post_c" in constants else y


def _bend(ops: Any, x: Any, lo: Any, hi: Any) -> Any:
    if lo is None:
        return x
    if not (hi > 0).all():
        raise SettingsError("got an upper slope that is not positive; must be a PReLU")
    x = x if (hi == 1).all() else ops.multiply(x, _channel(hi))
    return ops.prelu(x, (lo / hi).astype(np.float32))


def _channel(values: Any) -> Any:
    return values.astype(np.float32).reshape(1, -1, 1, 1)
