"""A .xnor model as an ordinary float graph for LiteRT, as a careful user of XNNPACK would write it.

Everything that can be folded is folded, in favour of the rival: scale, shift and bias of a binary convolution into its
float weights; slopes, where their sign allows it, into the affine map in front of them, so that an activation is one
PRELU; a sign is one multiplication whose result is cut to -1..1 (a zero, which is +1 to the engine, stays 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import SettingsError
from irnas.deploy.bench.tflite import Graph
from irnas.runtime.format import Model
from irnas.runtime.graph import Op

Vector = npt.NDArray[np.float64]
_STEEP = 1e30


def convert(model: Model, height: int, width: int) -> bytes:
    """The .tflite file of a model, for maps of one size."""
    graph = Graph(height, width, model.input.channels)
    tensors = [graph.input]
    for op in model.ops:
        tensors.append(_op(graph, op, [tensors[i] for i in op.inputs]))
    return graph.content(tensors[-1])


def _op(graph: Graph, op: Op, inputs: list[int]) -> int:
    x, constants = inputs[0], {role: part.astype(np.float64) for role, part in op.constants.items()}
    _, height, width, channels = graph.shape(x)
    match op.kind:
        case "conv":
            return _conv(graph, op, x, constants["weight"], constants.get("bias"))
        case "binary_block":
            return _block(graph, op, inputs, constants)
        case "mix":
            return _mix(graph, op, inputs, constants)
        case "clamp":
            return graph.add("RELU_N1_TO_1", [x], graph.shape(x))
        case "center":
            axes = graph.constant(np.array([1, 2, 3], np.int32))
            mean = graph.add("MEAN", [x, axes], (1, 1, 1, 1), "ReducerOptions", keepDims=True)
            return graph.add("SUB", [x, mean], graph.shape(x), "SubOptions")
        case "pool":
            return _pool(graph, op, x)
        case "upsample":
            size = graph.constant(np.array([2 * height, 2 * width], np.int32))
            name, options = (
                ("RESIZE_BILINEAR", "ResizeBilinearOptions")
                if op.attributes["kind"] == "bilinear"
                else ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
            )
            shape = (1, 2 * height, 2 * width, channels)
            return graph.add(name, [x, size], shape, options, halfPixelCenters=True)
        case "concat":
            return _concat(graph, inputs)
        case "contrast":
            return _contrast(graph, op, x)
        case "sigmoid":
            return graph.add("LOGISTIC", [x], graph.shape(x))
    raise SettingsError(f"got an op {op.kind}; must be a graph without it")


def _conv(graph: Graph, op: Op, x: int, weight_okkc: Vector, bias: Vector | None, act: str = "NONE") -> int:
    _, height, width, channels = graph.shape(x)
    kernel, stride, pad = (int(op.attributes[name]) for name in ("kernel", "stride", "pad"))
    padding = "SAME"
    if kernel == 3 and (stride == 2 or pad):
        # SAME would pad an even map behind its last row alone, and only with zeros.
        margins = graph.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
        value = _floats(graph, np.array(float(pad)))
        shape = (1, height + 2, width + 2, channels)
        x, padding = graph.add("PADV2", [x, margins, value], shape, "PadV2Options"), "VALID"
    filters = len(weight_okkc)
    bias = np.zeros(filters) if bias is None else bias
    return graph.add(
        "CONV_2D",
        [x, _floats(graph, weight_okkc), _floats(graph, bias)],
        (1, height // stride, width // stride, filters),
        "Conv2DOptions",
        padding=padding,
        strideH=stride,
        strideW=stride,
        dilationHFactor=1,
        dilationWFactor=1,
        fusedActivationFunction=act,
    )


def _block(graph: Graph, op: Op, inputs: list[int], constants: Mapping[str, Vector]) -> int:
    """FORMAT.md, rules A4 to A7."""
    signs = _affine(graph, inputs[0], constants.get("sign_scale"), constants.get("sign_shift"))
    steep = _floats(graph, np.full(1, _STEEP))
    signs = graph.add("MUL", [signs, steep], graph.shape(signs), "MulOptions", fusedActivationFunction="RELU_N1_TO_1")
    per_group = graph.shape(inputs[0])[3] // op.attributes["groups"]
    bits = np.unpackbits(op.constants["bits"], axis=-1, count=per_group, bitorder="little")
    scale, bias = constants["scale"], constants["bias"]
    residual, hi = op.attributes["residual"], constants.get("hi")
    # Ahead of nothing but its own activation, the convolution takes in the upper slope.
    slope = hi if hi is not None and residual != "before" and (hi > 0).all() else np.ones_like(scale)
    weight = (1.0 - 2.0 * bits) * (scale * slope)[:, None, None, None]
    if "shift" in constants:
        weight = weight + (constants["shift"] * slope)[:, None, None, None]
    by_class = bias.ndim > 1
    y = _conv(graph, op, signs, weight, None if by_class else bias * slope)
    if by_class:
        y = _add(graph, y, _floats(graph, _by_pixel(bias * slope, graph.shape(y), op)))
    if residual == "before":
        y = _add(graph, y, _affine(graph, inputs[1], constants.get("g"), None))
    y = _bend(graph, y, constants.get("lo"), hi, done=slope)
    if residual == "after":
        y = _add(graph, y, _affine(graph, inputs[1], constants.get("g"), None))
    post = {role.removeprefix("post_"): part for role, part in constants.items() if role.startswith("post_")}
    return _slope(graph, _roles(post), y, constants.get("c"))


def _roles(constants: Mapping[str, Vector]) -> dict[str, Vector | None]:
    return {role: constants.get(role) for role in ("a", "b", "lo", "hi", "g", "c")}


def _slope(graph: Graph, roles: Mapping[str, Vector | None], x: int, before: Vector | None = None) -> int:
    """FORMAT.md, rule A1, of x + before."""
    a, b, lo, hi, g, c = roles.values()
    if before is not None and (a is None or b is None or g is not None):
        x, before = _add(graph, x, _floats(graph, before)), None
    slope = hi if hi is not None and a is not None and (hi > 0).all() else None
    if a is not None and b is not None:
        b = b if before is None else b + a * before
        w = _affine(graph, x, a if slope is None else a * slope, b if slope is None else b * slope)
    else:
        w = x
    y = _bend(graph, w, lo, hi, done=slope)
    if g is not None:
        y = _add(graph, y, _affine(graph, x, g, None))
    return y if c is None else _add(graph, y, _floats(graph, c))


def _bend(graph: Graph, x: int, lo: Vector | None, hi: Vector | None, done: Vector | None = None) -> int:
    """x lo below 0, x hi above; where ``done`` is hi, x was multiplied by it before."""
    if lo is None or hi is None:
        return x
    if done is not None and (done == hi).all():
        return graph.add("PRELU", [x, _floats(graph, (lo / hi)[None, None])], graph.shape(x))
    low = graph.add("MUL", [x, _floats(graph, lo)], graph.shape(x), "MulOptions")
    high = graph.add("RELU", [x], graph.shape(x))
    return _add(graph, low, graph.add("MUL", [high, _floats(graph, hi - lo)], graph.shape(x), "MulOptions"))


def _mix(graph: Graph, op: Op, inputs: list[int], constants: Mapping[str, Vector]) -> int:
    """FORMAT.md, rule A8."""
    terms = []
    for n, (x, start) in enumerate(zip(inputs, op.attributes["starts"], strict=True)):
        own = {role[:-1]: part for role, part in constants.items() if role.endswith(str(n))}
        terms.append(_slope(graph, _roles(own), _lanes(graph, x, start, op.attributes["channels"])))
    return terms[0] if len(terms) == 1 else _add(graph, *terms)


def _lanes(graph: Graph, x: int, start: int, count: int) -> int:
    """Channels start, start + 1 and so on, from the first again after the last."""
    _, height, width, channels = graph.shape(x)
    parts, at = [], start % channels
    while count:
        some = min(count, channels - at)
        if some == channels:
            parts.append(x)
        else:
            begin, size = (np.array(each, np.int32) for each in ((0, 0, 0, at), (1, height, width, some)))
            corners = [x, graph.constant(begin), graph.constant(size)]
            parts.append(graph.add("SLICE", corners, (1, height, width, some), "SliceOptions"))
        count, at = count - some, 0
    return parts[0] if len(parts) == 1 else _concat(graph, parts)


def _concat(graph: Graph, parts: list[int]) -> int:
    shape = (*graph.shape(parts[0])[:3], sum(graph.shape(part)[3] for part in parts))
    return graph.add("CONCATENATION", parts, shape, "ConcatenationOptions", axis=3)


def _pool(graph: Graph, op: Op, x: int) -> int:
    _, height, width, channels = graph.shape(x)
    shape, kind = (1, height // 2, width // 2, channels), op.attributes["kind"]
    if kind == "first":
        bounds = [np.array(each, np.int32) for each in ((0, 0, 0, 0), (1, height, width, channels), (1, 2, 2, 1))]
        return graph.add("STRIDED_SLICE", [x, *map(graph.constant, bounds)], shape, "StridedSliceOptions")
    if kind not in ("average", "maximum"):
        raise SettingsError(f"got an op pool of kind {kind}; must be a graph without it")
    name = "AVERAGE_POOL_2D" if kind == "average" else "MAX_POOL_2D"
    sides: dict[str, Any] = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}
    return graph.add(name, [x], shape, "Pool2DOptions", padding="VALID", **sides)


def _contrast(graph: Graph, op: Op, x: int) -> int:
    shape, parts = graph.shape(x), []
    for side in op.attributes["sides"]:
        mean = x
        for height, width in ((side, 1), (1, side)):
            window = {"filterHeight": height, "filterWidth": width, "strideH": 1, "strideW": 1}
            # The mean of a window is that of its pixels on the map.
            mean = graph.add("AVERAGE_POOL_2D", [mean], shape, "Pool2DOptions", padding="SAME", **window)
        parts.append(graph.add("SUB", [x, mean], shape, "SubOptions"))
    return parts[0] if len(parts) == 1 else _concat(graph, parts)


def _affine(graph: Graph, x: int, scale: Vector | None, shift: Vector | None) -> int:
    if scale is not None and shift is not None:
        # One pass over the map instead of two: measured up to a fifth faster for a whole block.
        return graph.add(
            "DEPTHWISE_CONV_2D",
            [x, _floats(graph, scale[None, None, None]), _floats(graph, shift)],
            graph.shape(x),
            "DepthwiseConv2DOptions",
            padding="SAME",
            strideH=1,
            strideW=1,
            depthMultiplier=1,
            dilationHFactor=1,
            dilationWFactor=1,
        )
    if scale is not None:
        x = graph.add("MUL", [x, _floats(graph, scale)], graph.shape(x), "MulOptions")
    return x if shift is None else _add(graph, x, _floats(graph, shift))


def _add(graph: Graph, x: int, y: int) -> int:
    return graph.add("ADD", [x, y], graph.shape(x), "AddOptions")


def _floats(graph: Graph, values: Vector) -> int:
    return graph.constant(values.astype(np.float32))


def _by_pixel(bias: Vector, shape: tuple[int, ...], op: Op) -> Vector:
    """A bias [4, 4, O] by border class as a map [1, H, W, O]."""
    _, height, width, _ = shape

    def classes(size: int) -> npt.NDArray[np.int64]:
        border_class = np.zeros(size, np.int64)
        border_class[0] += 1
        # With stride 2 the last window of an even map ends on it.
        border_class[-1] += 2 if op.attributes["stride"] == 1 else 0
        return border_class

    bias_nhwc: Vector = bias[classes(height)[:, None], classes(width)[None, :]][None]
    return bias_nhwc
