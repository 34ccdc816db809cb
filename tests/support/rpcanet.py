"""The layout of the official RPCANet+ files, and what a network in it computes; neither knows anything of irnas.

Only ``imported`` and ``imported_by_0_1`` do: they write such a network as a file of ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from irnas.core.space import Genotype

State = dict[str, Tensor]


def official(
    stages: int = 2,
    bc: int = 4,
    tc: int = 32,
    hidden: int = 2,
    depths: tuple[int, int, int, int] = (3, 6, 6, 3),
    prefix: str = "",
    seed: int = 0,
) -> State:
    """A state dict in the official layout with random numbers; depths of B, T, N and merge."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}

    def conv(name: str, c_in: int, c_out: int, kernel: int) -> None:
        weight = torch.randn(c_out, c_in, kernel, kernel, generator=generator)
        state[f"{prefix}{name}.weight"] = weight * math.sqrt(2 / weight[0].numel())
        state[f"{prefix}{name}.bias"] = 0.1 * torch.randn(c_out, generator=generator)

    def norm(name: str, channels: int) -> None:
        for leaf in ("weight", "running_var"):
            state[f"{prefix}{name}.{leaf}"] = 0.5 + torch.rand(channels, generator=generator)
        for leaf in ("bias", "running_mean"):
            state[f"{prefix}{name}.{leaf}"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{prefix}{name}.num_batches_tracked"] = torch.tensor(7)

    for k in range(stages):
        for part, convs, depth, kernel, normed in (
            ("lowrank", "convs", depths[0], 1, True),
            ("sparse", "convs", depths[1], 1, False),
            ("residual", "convs", depths[2], 3, False),
            ("merge", "mapping", depths[3], 3, True),
        ):
            head, pitch = f"decos.{k}.{part}", 3 if normed else 2
            width = tc if part == "merge" else bc
            for i in range(depth + 1):
                conv(f"{head}.{convs}.{pitch * i}", width if i else 1, width, 3 if i else kernel)
                if normed:
                    norm(f"{head}.{convs}.{pitch * i + 1}", width)
            if part != "merge":
                conv(f"{head}.{convs}.{pitch * (depth + 1)}", bc, tc, 3)
            conv(f"{head}.channel_attention.excitation.0", tc, hidden, 1)
            conv(f"{head}.channel_attention.excitation.2", hidden, tc, 1)
            conv(f"{head}.final_conv", tc, 1, 3)
        state[f"{prefix}decos.{k}.sparse.epsilon"] = torch.rand(1, generator=generator)
        state[f"{prefix}decos.{k}.residual.sigma"] = torch.rand(1, generator=generator)
    return state


def evaluate(state: Mapping[str, Tensor], x_n1hw: Tensor) -> tuple[Tensor, Tensor]:
    """T and D of the last stage, from names without a prefix; N is zero at the start of every stage."""
    d, t = x_n1hw, torch.zeros_like(x_n1hw)
    for k in range(1 + max(int(name.split(".")[1]) for name in state)):
        head = f"decos.{k}"
        rest = d - t
        b = rest + _estimate(state, f"{head}.lowrank", rest)
        rest = t + d - b
        t = rest - state[f"{head}.sparse.epsilon"] * _estimate(state, f"{head}.sparse", rest)
        rest = d - b - t
        n = rest - state[f"{head}.residual.sigma"] * _estimate(state, f"{head}.residual", rest)
        d = _estimate(state, f"{head}.merge", b + t + n)
    return t, d


def _estimate(state: Mapping[str, Tensor], head: str, x: Tensor) -> Tensor:
    pattern = re.compile(rf"{re.escape(head)}\.(?:convs|mapping)\.(\d+)\.weight")
    numbered = [(int(match[1]), match[0]) for match in map(pattern.fullmatch, state) if match]
    convs = sorted((i, name.removesuffix(".weight")) for i, name in numbered if state[name].ndim == 4)
    for i, name in convs:
        x = _conv(state, name, x)
        follower = f"{name.rpartition('.')[0]}.{i + 1}"
        if f"{follower}.running_mean" in state:
            mean, var, weight, bias = (
                state[f"{follower}.{leaf}"].view(1, -1, 1, 1)
                for leaf in ("running_mean", "running_var", "weight", "bias")
            )
            x = (x - mean) / (var + 1e-5).sqrt() * weight + bias
        if i != convs[-1][0] or head.endswith("merge"):
            x = x.clamp(min=0)
    hidden = _conv(state, f"{head}.channel_attention.excitation.0", x.mean((2, 3), keepdim=True)).clamp(min=0)
    x = x * torch.sigmoid(_conv(state, f"{head}.channel_attention.excitation.2", hidden))
    return _conv(state, f"{head}.final_conv", x)


def _conv(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def imported(path: Path, **facts: Any) -> Path:
    """A small network of this layout as ``irnas import-weights`` writes it, at ``path``, with further facts of it."""
    from irnas import models
    from irnas.training.weights import WeightsInfo, write_weights

    genotype, state = _converted()
    network = models.build(genotype)
    network.load_state_dict(state)
    write_weights(str(path), network, WeightsInfo(genotype=genotype, origin="imported", **facts))
    return path


def imported_by_0_1(path: Path) -> Path:
    """The same network as version 0.1 wrote it."""
    genotype, state = _converted()
    document = {"irnas_weights": 1, "genotype": genotype.document(), "state": dict(sorted(state.items()))}
    torch.save(document, path)
    return path


def _converted() -> tuple[Genotype, State]:
    from irnas.core import catalog
    from irnas.models import rpcanet_plus_weights

    values, state = rpcanet_plus_weights.convert_official(official(stages=1, bc=2, depths=(1, 1, 1, 1)))
    return catalog.load("rpcanet_plus").genotype(values), state
