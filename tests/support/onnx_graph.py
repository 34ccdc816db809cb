"""What an exported .onnx graph computes and stores, read off the graph itself; knows nothing of irnas' cost rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

PRODUCTS = ("Conv", "MatMul", "Gemm")


def count_macs(proto: Any, side: int) -> int:
    """Multiply-accumulates of convolutions and matrix products on an image of side x side, from the shapes of a run."""
    from irnas.runtime.session import onnx_session

    shaped = onnx.ModelProto()
    shaped.CopyFrom(proto)
    nodes = [node for node in proto.graph.node if node.op_type in PRODUCTS]
    names = list(dict.fromkeys(name for node in nodes for name in (*node.input[:2], node.output[0])))
    shaped.graph.node.extend(onnx.helper.make_node("Shape", [name], [f"{name}:shape"]) for name in names)
    outputs = [onnx.helper.make_tensor_value_info(f"{name}:shape", onnx.TensorProto.INT64, None) for name in names]
    del shaped.graph.output[:]
    shaped.graph.output.extend(outputs)
    loaded = onnx_session(shaped.SerializeToString())
    model_input = loaded.get_inputs()[0]
    x_nchw = np.random.default_rng(0).random((1, model_input.shape[1], side, side), dtype=np.float32)
    answers = loaded.run(None, {model_input.name: x_nchw})
    shapes = {name: [int(size) for size in answer] for name, answer in zip(names, answers, strict=True)}
    return sum(math.prod(shapes[node.output[0]]) * _terms(node, shapes) for node in nodes)


def count_stored_bytes(proto: Any) -> int:
    """Bytes of the floating-point numbers that the file stores."""
    tensors = [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    return sum(4 * math.prod(tensor.dims) for tensor in tensors)


def _terms(node: Any, shapes: dict[str, list[int]]) -> int:
    """The length of the sums behind each number of a node's output."""
    left, right = (shapes[name] for name in node.input[:2])
    if node.op_type == "Conv":
        return math.prod(right[1:])
    is_turned = any(a.name == "transA" and a.i for a in node.attribute)
    return left[-2] if is_turned else left[-1]
