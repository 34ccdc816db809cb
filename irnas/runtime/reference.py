"""The reference engine: it runs a .xnor model in NumPy, one op after the other, bit for bit as FORMAT.md says.

For tests and for exports on a machine without the native engine; it is some hundred times slower.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.runtime import arithmetic, attention, format, recombination
from irnas.runtime.arithmetic import Map
from irnas.runtime.format import Input, Model
from irnas.runtime.graph import Op

Bytes = npt.NDArray[np.uint8]


def load(path: str | Path) -> Model:
    """Load the model in the file at ``path``.

    Raises:
        FormatError: the file breaks a rule of FORMAT.md.
        OSError: there is no such file, or it cannot be read.
    """
    return format.read(Path(path).read_bytes())


def run(model: Model, x_hwc: Map) -> Map:
    """Compute the probability of a target at each pixel, float32 [H, W].

    Args:
        model: what to run.
        x_hwc: float32 [H, W, C], or [H, W] for one channel; H and W multiples of ``model.input.multiple``.

    Raises:
        DataError: the map does not fit the model.
    """
    return compute_tensors(model, x_hwc)[-1][:, :, 0]


def compute_tensors(model: Model, x_hwc: Map) -> list[Map]:
    """Compute every tensor of the graph, the input first, each [H, W, C]."""
    x = np.asarray(x_hwc, np.float32)
    x = x[:, :, None] if x.ndim == 2 else x
    _check_shape(model.input, x.shape)
    tensors = [x]
    # An overflow ends in infinities and NaN, as it does in any engine; whoever exports a network looks for them.
    with np.errstate(over="ignore", invalid="ignore"):
        for op in model.ops:
            tensors.append(_apply(op, [tensors[i] for i in op.inputs]))
    return tensors


def predict(model: Model, image_hw: Bytes) -> Map:
    """Compute the probability at each pixel, float32 [H, W], of a uint8 image [H, W] of any size (FORMAT.md, 6)."""
    height, width = image_hw.shape
    return run(model, prepare(model.input, image_hw))[:height, :width]


def prepare(accepted: Input, image: Bytes) -> Map:
    """Turn a uint8 image [H, W] or window [C, H, W] into a model's input, float32 [H', W', C].

    H' and W' are the next multiples of ``pad``; the last row and column are repeated.

    Raises:
        DataError: a window of another length than the model has channels.
    """
    height, width = image.shape[-2:]
    frames_chw = image.reshape(-1, height, width)
    if len(frames_chw) not in (1, accepted.channels):
        raise DataError(f"window: got {len(frames_chw)} frames; must be {accepted.channels}, or a single image")
    x_hwc = np.moveaxis(frames_chw, 0, -1).astype(np.float32) / np.float32(255)
    x_hwc = np.pad(x_hwc, ((0, -height % accepted.pad), (0, -width % accepted.pad), (0, 0)), mode="edge")
    return x_hwc if len(frames_chw) == accepted.channels else np.repeat(x_hwc, accepted.channels, axis=2)


def make_reference_input(height: int, width: int, channels: int, seed: int) -> Map:
    """Make the map of a reference run, float32 [H, W, C] in 0..1 (FORMAT.md, section 7)."""
    count = height * width * channels
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    x = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return x.reshape(height, width, channels)


def digest(x: Map) -> str:
    """Return the SHA-256 of a map's little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(x, "<f4").tobytes()).hexdigest()


def verify(model: Model) -> bool:
    """Return whether this reader reproduces the model's reference run."""
    run_of = model.reference
    x = make_reference_input(run_of.height, run_of.width, model.input.channels, run_of.seed)
    return digest(x) == run_of.input_sha256 and digest(run(model, x)) == run_of.output_sha256


def _check_shape(accepted: Input, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or shape[2] != accepted.channels:
        raise DataError(f"model input: got an array of shape {shape}; must be [H, W, {accepted.channels}]")
    height, width = shape[:2]
    if height % accepted.multiple or width % accepted.multiple or not height or not width:
        raise DataError(f"model input: got {height}x{width} pixels; must be multiples of {accepted.multiple}")


def _apply(op: Op, inputs: list[Map]) -> Map:
    x = inputs[0]
    match op.kind:
        case "conv":
            return arithmetic.conv(x, op.constants["weight"], op.constants.get("bias"), op.attributes)
        case "binary_block":
            return _run_block(op, inputs)
        case "mix":
            return _run_mix(op, inputs)
        case "clamp":
            return np.where(x < -1, np.float32(-1), np.where(x > 1, np.float32(1), x))
        case "center":
            return arithmetic.center(x)
        case "pool":
            return arithmetic.pool(x, op.attributes["kind"])
        case "upsample":
            return arithmetic.upsample(x, op.attributes["kind"])
        case "concat":
            return np.concatenate(inputs, axis=2)
        case "sigmoid":
            return arithmetic.sigmoid(x)
        case "mean":
            return arithmetic.mean(x, op.attributes["kernel"])
        case "contrast":
            return arithmetic.contrast(x, op.attributes["sides"])
        case "multiply":
            return x * inputs[1]
        case "maximum":
            return arithmetic.maximum(x)
        case "tokens":
            return attention.tokens(x, op.attributes["side"], op.constants)
        case "attend":
            return attention.attend(inputs, op.constants["scale"], op.attributes["form"])
        case "recombine":
            return recombination.recombine(x, inputs[1:], op.attributes["filters"])
        case "excite_project":
            return arithmetic.excite_project(x, inputs[1], op.constants)
    raise AssertionError(op.kind)


def compute_signs(op: Op, x: Map) -> Map:
    """Compute +-1 for each value that a binary_block reads (rule A4)."""
    constants = op.constants
    s = arithmetic.fma(x, constants["sign_scale"], constants["sign_shift"]) if "sign_scale" in constants else x
    return np.where(s < 0, np.float32(-1), np.float32(1))


def _run_block(op: Op, inputs: list[Map]) -> Map:
    """Run a binary_block (rules A4 to A7)."""
    x, constants, stride = inputs[0], op.constants, op.attributes["stride"]
    n_hwo, t_hwo = arithmetic.sum_signs(compute_signs(op, x), constants["bits"], op.attributes)
    bias = arithmetic.select_bias(constants["bias"], x.shape[0], x.shape[1], stride)
    u = arithmetic.fma(constants["scale"], n_hwo, bias)
    if "shift" in constants:
        u = arithmetic.fma(constants["shift"], t_hwo, u)
    g, rest = constants.get("g"), constants.get("c")
    match op.attributes["residual"]:
        case "after":
            r = inputs[1] if g is None else arithmetic.fma(inputs[1], g, rest)
            rest = r if g is not None or rest is None else r + rest
        case "before":
            u = inputs[1] + u if g is None else arithmetic.fma(inputs[1], g, u)
    y = arithmetic.bend(u, constants.get("lo"), constants.get("hi"), rest)
    if any(role.startswith("post_") for role in constants):
        y = arithmetic.two_slope(y, constants, "post_{}")
    return y


def _run_mix(op: Op, inputs: list[Map]) -> Map:
    """Run a mix (rule A8)."""
    channels, terms = np.arange(op.attributes["channels"]), []
    for n, (x, start) in enumerate(zip(inputs, op.attributes["starts"], strict=True)):
        x_o = x[:, :, (start + channels) % x.shape[2]]
        terms.append(arithmetic.two_slope(x_o, op.constants, "{}" + str(n)))
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]
