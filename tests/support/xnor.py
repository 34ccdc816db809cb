"""What the tests of export and runtime share: networks with awkward numbers, and a second evaluator in float64."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.space import Genotype
from irnas.runtime.graph import Op

Array = np.ndarray[Any, np.dtype[Any]]


def network(genotype: Genotype, seed: int = 0) -> nn.Module:
    """The network of a genotype in eval mode, its per-channel numbers drawn at random, negative ones too."""
    torch.manual_seed(seed)
    return randomize(models.build(genotype), seed + 1).eval()


def randomize(module: nn.Module, seed: int) -> nn.Module:
    """The module with other numbers per channel, in place: those that training would have moved from 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1 or name.endswith(("set_scale", "set_shift")):
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None and layer.running_var is not None
                layer.running_mean.add_(torch.randn(layer.num_features, generator=generator))
                layer.running_var.mul_(0.5 + torch.rand(layer.num_features, generator=generator))
    return module


def small(genotype: Genotype) -> Genotype:
    """The same design with fewer blocks and channels, so that a test of it takes no time."""
    space = catalog.load("biisnet")
    most = {axis.name: 1 for axis in space.params if axis.name.startswith(("n_enc", "n_dec", "n_bot"))}
    values = {name: min(value, most.get(name, value)) for name, value in genotype.values.items()}
    values["base"] = min(values["base"], 8)
    return space.complete(values)


def drawn(num: int, seed: int) -> list[Genotype]:
    """Points of the full space, not only of what a search varies; small ones."""
    space = catalog.load("biisnet")
    rng = random.Random(seed)
    return [small(space.sample(rng)) for _ in range(num)]


def evaluate(ops: Sequence[Op], x_hwc: Array) -> list[Array]:
    """Every tensor of a graph in float64 by torch's layers, [H, W, C] each; shares no code with the reference."""
    tensors = [x_hwc]
    for op in ops:
        tensors.append(apply(op, [tensors[i] for i in op.inputs]))
    return tensors


def apply(op: Op, inputs: Sequence[Array]) -> Array:
    """One op in float64, [H, W, C]."""
    tensors = [torch.from_numpy(np.moveaxis(x, -1, 0)[None].astype(np.float64)) for x in inputs]
    constants = {
        role: torch.from_numpy(part if part.dtype == np.uint8 else part.astype(np.float64))
        for role, part in op.constants.items()
    }
    return np.moveaxis(OPS[op.kind](tensors, op.attributes, constants)[0].numpy(), 0, -1)


def relative(computed: Array, wanted: Array) -> float:
    """The largest difference over the largest value."""
    return float(np.abs(computed - wanted).max() / max(np.abs(wanted).max(), 1e-30))


def logits(model: nn.Module, x_hwc: Array) -> Array:
    """What torch makes of a map, [H, W, 1], in the precision of the map."""
    with torch.no_grad():
        return np.moveaxis(model(torch.from_numpy(np.moveaxis(x_hwc, -1, 0)[None].copy()))[0].numpy(), 0, -1)


def _vector(part: torch.Tensor) -> torch.Tensor:
    return part.view(1, -1, 1, 1)


def _slope(x: torch.Tensor, c: Mapping[str, torch.Tensor], pattern: str) -> torch.Tensor:
    part = {role: _vector(c[pattern.format(role)]) for role in "a b lo hi g c".split() if pattern.format(role) in c}
    w = x * part["a"] + part["b"] if "a" in part else x
    y = part["hi"] * w.clamp(min=0) + part["lo"] * w.clamp(max=0) if "lo" in part else w
    return y + part.get("g", 0.0) * x + part.get("c", 0.0)


def _conv(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    return _weigh(inputs[0], c["weight"].permute(0, 3, 1, 2), attributes) + (_vector(c["bias"]) if "bias" in c else 0)


def _weigh(x: torch.Tensor, weight: torch.Tensor, attributes: Any) -> torch.Tensor:
    margin = attributes["kernel"] // 2
    x = F.pad(x, (margin,) * 4, value=float(attributes["pad"]))
    return F.conv2d(x, weight, stride=attributes["stride"], groups=attributes["groups"])


def _block(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    x, skip = inputs[0], inputs[-1]
    if "sign_scale" in c:
        x = x * _vector(c["sign_scale"]) + _vector(c["sign_shift"])
    signs = torch.where(x < 0, -1.0, 1.0).double()
    per_group = x.shape[1] // attributes["groups"]
    bits = np.unpackbits(c["bits"].numpy(), axis=-1, bitorder="little")[..., :per_group]
    weight = torch.from_numpy(1 - 2 * bits.astype(np.float64)).permute(0, 3, 1, 2)
    u = _weigh(signs, weight, attributes) * _vector(c["scale"])
    if "shift" in c:
        u = u + _weigh(signs, torch.ones_like(weight), attributes) * _vector(c["shift"])
    bias = c["bias"] if c["bias"].ndim == 3 else c["bias"].expand(4, 4, -1)
    height, width, stride = *x.shape[2:], attributes["stride"]
    for i in range(u.shape[2]):
        for j in range(u.shape[3]):
            row = (i * stride == 0) + 2 * (i * stride == height - 1)
            column = (j * stride == 0) + 2 * (j * stride == width - 1)
            u[:, :, i, j] += bias[row, column]
    rest = 0.0
    if attributes["residual"] != "none":
        rest = skip * (_vector(c["g"]) if "g" in c else 1.0)
    if attributes["residual"] == "before":
        u, rest = u + rest, 0.0
    y = _vector(c["hi"]) * u.clamp(min=0) + _vector(c["lo"]) * u.clamp(max=0) if "lo" in c else u
    return _slope(y + rest + (_vector(c["c"]) if "c" in c else 0.0), c, "post_{}")


def _mix(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    total = 0.0
    for n, (x, start) in enumerate(zip(inputs, attributes["starts"], strict=True)):
        seen = x[:, (start + torch.arange(attributes["channels"])) % x.shape[1]]
        total = total + _slope(seen, c, f"{{}}{n}")
    return total


def _pool(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    match attributes["kind"]:
        case "average":
            return F.avg_pool2d(inputs[0], 2)
        case "maximum":
            return F.max_pool2d(inputs[0], 2)
        case "minimum":
            return -F.max_pool2d(-inputs[0], 2)
        case "rows" | "columns" | "diagonal":
            return F.conv2d(inputs[0].transpose(0, 1), _HAAR[attributes["kind"]], stride=2).transpose(0, 1)
    return inputs[0][:, :, ::2, ::2]


_HAAR: Mapping[str, torch.Tensor] = {
    kind: torch.tensor(signs, dtype=torch.float64).reshape(1, 1, 2, 2)
    for kind, signs in {"rows": (1, 1, -1, -1), "columns": (1, -1, 1, -1), "diagonal": (1, -1, -1, 1)}.items()
}


def _recombine(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    """Each basis map as such, and the projections onto them summed."""
    origin, *maps = inputs
    if attributes["filters"]:
        x, *maps = maps
        wide = F.pad(x, (8,) * 4)
        height, width = x.shape[2:]
        for taps in reversed(attributes["filters"]):
            seen = [sign * wide[:, :, 8 + u : 8 + u + height, 8 + v : 8 + v + width] for sign, u, v in taps]
            maps.insert(0, torch.stack(seen).sum(0))
    total = torch.zeros_like(origin)
    for each in maps:
        total += (origin * each).sum((2, 3), keepdim=True) / each.square().sum((2, 3), keepdim=True).clamp(1e-24) * each
    return total


def _upsample(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    align = False if attributes["kind"] == "bilinear" else None
    return F.interpolate(inputs[0], scale_factor=2, mode=attributes["kind"], align_corners=align)


def _mean(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    kernel, size = attributes["kernel"], inputs[0].shape[2:].numel()
    seen = F.unfold(inputs[0], kernel, padding=kernel // 2).sum(2) / size
    return seen.reshape(1, -1, kernel * kernel).transpose(1, 2).reshape(1, -1, 1, 1)


def _contrast(x: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    ones = torch.ones_like(x)
    squares = [torch.ones(1, 1, side, side, dtype=x.dtype) for side in sides]
    means = [
        F.conv2d(x, square, padding=square.shape[-1] // 2) / F.conv2d(ones, square, padding=square.shape[-1] // 2)
        for square in squares
    ]
    return torch.cat([x - mean for mean in means], 1)


def _excite_project(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    x, factors = inputs
    if "expand" in c:
        x = F.conv2d(x, c["expand"].permute(0, 3, 1, 2), c["expand_bias"], padding=1)
    return F.conv2d(x * factors, c["weight"].permute(0, 3, 1, 2), c["bias"], padding=1)


def _tokens(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    most = F.adaptive_max_pool2d(inputs[0], attributes["side"])
    return F.conv2d(most, c["weight"].view(1, -1, 1, 1), c["bias"]).reshape(1, -1, 1, 1)


def _attend(inputs: Any, attributes: Any, c: Any) -> torch.Tensor:
    x, query, key = inputs
    product = query.reshape(1, 1, -1, 1) * key.reshape(1, 1, 1, -1)
    matrix = torch.softmax(product * _vector(c["scale"]), -1)
    size = (x.shape[2], x.shape[2 if attributes["form"] == "matrix" else 3])
    matrix = F.interpolate(matrix, size=size, mode="bilinear", align_corners=False, antialias=True)
    matrix = matrix / matrix.sum(-1, keepdim=True)
    return (matrix @ x if attributes["form"] == "matrix" else matrix * x) + x


OPS: Mapping[str, Any] = {
    "conv": _conv,
    "binary_block": _block,
    "mix": _mix,
    "clamp": lambda x, a, c: x[0].clamp(-1, 1),
    "contrast": lambda x, a, c: _contrast(x[0], a["sides"]),
    "center": lambda x, a, c: x[0] - x[0].mean(),
    "pool": _pool,
    "upsample": _upsample,
    "concat": lambda x, a, c: torch.cat(x, 1),
    "sigmoid": lambda x, a, c: torch.sigmoid(x[0]),
    "mean": _mean,
    "excite_project": _excite_project,
    "multiply": lambda x, a, c: x[0] * x[1],
    "maximum": lambda x, a, c: F.max_pool2d(x[0], 3, 1, 1),
    "recombine": _recombine,
    "tokens": _tokens,
    "attend": _attend,
}
