"""Each fold against the layers it replaces, in float64: equal to 1e-12 of the largest value."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
import torch
from support.xnor import evaluate, logits, randomize, relative
from torch import nn

from irnas.core.errors import ExportError
from irnas.deploy.export import fold
from irnas.deploy.export.draft import Draft, Slope, Term
from irnas.deploy.export.layer import add_layer
from irnas.nn.binary import BinaryConv2d
from irnas.nn.block import Layer, Recipe
from irnas.nn.channel import ACTIVATIONS, ChannelAffine, ChannelShift, activation
from irnas.nn.sign import Sign, WeightSign
from irnas.nn.weight import BINARIZERS
from irnas.runtime.graph import Op

EXACT = 1e-12
CHANNELS = 6


def numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).standard_normal(shape)


def prepared(module: nn.Module, seed: int = 0) -> nn.Module:
    return randomize(module, seed).double().eval()


def through(layer: Layer, x_hwc: np.ndarray[Any, Any]) -> tuple[list[Op], float]:
    """The ops of a layer, and how far their result is from the layer's."""
    draft = Draft(x_hwc.shape[2])
    tensor = add_layer(draft, layer, 0)
    return draft.ops, relative(evaluate(draft.ops, x_hwc)[tensor], logits(layer, x_hwc))


@pytest.mark.parametrize("layer", [ChannelAffine(CHANNELS), ChannelShift(CHANNELS), nn.BatchNorm2d(CHANNELS)], ids=repr)
def test_layers_that_are_affine(layer: nn.Module) -> None:
    folded = fold.affine_of(prepared(layer), CHANNELS)
    x = numbers(3, 4, CHANNELS)
    assert relative(x * folded.scale + folded.shift, logits(layer, x)) < EXACT


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_as_two_slopes(name: str) -> None:
    layer = activation(name, CHANNELS)
    bent = fold.bend_of(None if layer is None else prepared(layer), CHANNELS)
    if name == "hardtanh":
        assert bent is None
        return
    assert bent is not None
    x = numbers(3, 4, CHANNELS)
    w = x if bent.knee is None else x - bent.knee
    y = w if bent.lo is None else w * np.where(w < 0, bent.lo, bent.hi)
    y = y if bent.shift is None else y + bent.shift
    assert relative(y, x if layer is None else logits(layer, x)) < EXACT


@pytest.mark.parametrize("binarizer", BINARIZERS)
@pytest.mark.parametrize(("kernel", "pad"), [(1, 0), (3, 0), (3, 1), (3, -1)])
@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 2), (6, 1)])
def test_binary_convolutions(binarizer: str, kernel: int, pad: int, adaptive: bool, groups: int, stride: int) -> None:
    recipe = Recipe(w_bin=binarizer, a_bin="adabin" if adaptive else "sign", act_bc="none", residual="none", pad=pad)
    layer = Layer(recipe, "BC", CHANNELS, kernel=kernel, stride=stride, groups=groups)
    prepared(layer, 3)
    for height, width in ((6, 4), (2, 2), (5, 3) if stride == 1 else (2, 6), (1, 1) if stride == 1 else (4, 2)):
        ops, gap = through(layer, numbers(height, width, CHANNELS))
        assert [op.kind for op in ops] == ["binary_block"] and gap < EXACT


def draws(num: int) -> list[dict[str, Any]]:
    """Layers as a recipe can make them, each choice about as often as the others."""
    rng = random.Random(1)
    axes = {
        "kind": ("BC", "BC", "DB"),
        "w_bin": BINARIZERS,
        "a_bin": ("sign", "rsign", "affine", "adabin", "norm", "none"),
        "act_bc": ACTIVATIONS,
        "act_db": ACTIVATIONS,
        "bn": (False, True),
        "out_affine": (False, True),
        "residual": ("act_then_add", "add_then_act", "none"),
        "redist": (False, True),
        "redist_shift": (False, True),
        "pad": (0, 1, -1),
        "db_norm": ("rms", "l2"),
        "stride": (1, 1, 2),
        "out": (CHANNELS, CHANNELS, 2 * CHANNELS),
        "skip": ("none", "fp", "binary"),
        "kernel": (1, 3),
    }
    return [{name: rng.choice(values) for name, values in axes.items()} for _ in range(num)]


def layer_of(draw: dict[str, Any]) -> Layer:
    names = ("w_bin", "a_bin", "act_bc", "act_db", "bn", "out_affine", "residual", "redist_shift", "pad", "db_norm")
    recipe = Recipe(**{name: draw[name] for name in names})
    if draw["kind"] == "DB":
        return Layer(recipe, "DB", CHANNELS, redist=draw["redist"])
    skip = draw["skip"] if draw["out"] != CHANNELS else "identity"
    return Layer(
        recipe,
        "BC",
        CHANNELS,
        draw["out"],
        kernel=draw["kernel"],
        stride=draw["stride"],
        redist=draw["redist"],
        skip=skip,
    )


def test_layers_of_every_recipe() -> None:
    for seed, draw in enumerate(draws(250)):
        layer = layer_of(draw)
        prepared(layer, seed)
        _, gap = through(layer, numbers(4, 6, CHANNELS, seed=seed))
        assert gap < EXACT, draw


@pytest.mark.parametrize("residual", ["act_then_add", "add_then_act", "none"])
@pytest.mark.parametrize("redist", [False, True])
def test_biisnets_own_second_layer_is_two_slopes_and_no_more(residual: str, redist: bool) -> None:
    """Section 1.5: ReDistribution, DB, MaxOut and the residual are one map with its knee where x' is zero."""
    layer = Layer(Recipe(residual=residual), "DB", CHANNELS, redist=redist)
    prepared(layer, 5)
    ops, gap = through(layer, numbers(4, 4, CHANNELS))
    assert gap < EXACT and set(ops[0].constants) == {"lo0", "hi0"} | ({"a0", "b0"} if redist else set())


def test_a_scale_of_zero_in_the_redistribution_folds() -> None:
    layer = Layer(Recipe(), "DB", CHANNELS, redist=True)
    prepared(layer, 5)
    assert layer.redist is not None
    with torch.no_grad():
        layer.redist.scale[2] = 0
    assert through(layer, numbers(4, 4, CHANNELS))[1] < EXACT


def test_a_block_takes_in_the_map_behind_it() -> None:
    x = numbers(4, 4, CHANNELS)
    first, second = Layer(Recipe(), "BC", CHANNELS), Layer(Recipe(), "DB", CHANNELS, redist=True)
    prepared(first, 1), prepared(second, 2)
    draft = Draft(CHANNELS)
    add_layer(draft, second, add_layer(draft, first, 0))
    (block,) = draft.finish()
    assert {"post_a", "post_b", "post_lo", "post_hi"} <= set(block.constants)
    assert relative(evaluate([block], x)[-1], logits(nn.Sequential(first, second), x)) < EXACT


def test_a_block_that_others_read_too_stays_apart() -> None:
    draft = Draft(CHANNELS)
    layers = [prepared(Layer(Recipe(), kind, CHANNELS), n) for n, kind in enumerate(("BC", "DB"))]
    y = add_layer(draft, layers[0], 0)  # type: ignore[arg-type]
    z = add_layer(draft, layers[1], y)  # type: ignore[arg-type]
    draft.mix(Term(tensor=y, channels=CHANNELS), Term(tensor=z, channels=CHANNELS))
    assert [op.kind for op in draft.finish()] == ["binary_block", "mix", "mix"]


@pytest.mark.parametrize("roles", list(itertools.product([False, True], repeat=4)))
def test_half_a_term_is_half_of_it(roles: tuple[bool, ...]) -> None:
    parts = {name: numbers(CHANNELS, seed=n) for n, name in enumerate(("a", "b", "lo", "hi", "g", "c"))}
    line, slopes, rest, shift = roles
    kept = ["a", "b"] * line + ["lo", "hi"] * slopes + ["g", "c"] * rest + ["c"] * (shift and not rest)
    term = Term(tensor=0, channels=CHANNELS, slope=Slope(**{name: parts[name] for name in kept}))
    sums = []
    for each in (term, term.halved()):
        draft = Draft(CHANNELS)
        tensor = draft.mix(each)
        sums.append(evaluate(draft.ops, numbers(3, 3, CHANNELS, seed=9))[tensor])
    assert relative(2 * sums[1], sums[0]) < EXACT


def conv(**changes: Any) -> BinaryConv2d:
    arguments: dict[str, Any] = {"sign": Sign("clip"), "weight_sign": WeightSign("clip"), **changes}
    return BinaryConv2d(4, 4, 3, **arguments)


def test_a_binary_weight_of_zero_has_no_bit() -> None:
    layer = conv(weight_sign=WeightSign("clip", at_zero=0), binarizer="sign")
    with torch.no_grad():
        layer.weight[0, 0, 0, 0] = 0
    with pytest.raises(ExportError, match=r"sign0: got a binary weight of 0; .*\.onnx"):
        fold.filters_of(layer)


def test_layers_without_a_fold_are_refused() -> None:
    with pytest.raises(ExportError, match=r"LayerNorm: got no lowering; .*\.onnx"):
        fold.affine_of(nn.LayerNorm(4), 4)
    with pytest.raises(ExportError, match=r"GELU: got no lowering; .*\.onnx"):
        fold.bend_of(nn.GELU(), 4)
