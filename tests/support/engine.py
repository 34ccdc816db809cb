"""Small graphs for the engine, and the comparison of its bits with those of the NumPy reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from support.xnor_file import bits, numbers

from irnas.runtime import engine, format, reference
from irnas.runtime.format import Input, Model, Reference
from irnas.runtime.graph import Op

Array = np.ndarray[Any, np.dtype[Any]]

WAYS = [("streamed", 1), ("streamed", 2), ("layers", 1), ("layers", 3)]
FEW_CHANNELS = (2, 3, 4, 6, 8, 12, 24)
"""Of which several pixels fill a vector."""


def model(ops: list[Op], *, channels: int = 1, multiple: int = 4, pad: int = 4) -> Model:
    """The model of a graph, without a true reference run."""
    run_of = Reference(height=4, width=4, seed=0, input_sha256="0" * 64, output_sha256="0" * 64)
    accepted = Input(channels=channels, multiple=multiple, pad=pad)
    return Model(input=accepted, ops=tuple(ops), reference=run_of)


def recorded(model: Model, height: int, width: int) -> Model:
    """The model with the reference run that an exported one brings, on an image of this size."""
    x_hwc = reference.make_reference_input(height, width, model.input.channels, 0)
    hashes = {"input_sha256": reference.digest(x_hwc), "output_sha256": reference.digest(reference.run(model, x_hwc))}
    return replace(model, reference=Reference(height=height, width=width, seed=0, **hashes))


def ended(ops: list[Op], channels: int) -> list[Op]:
    """A graph of ``channels`` channels with the head that every graph needs."""
    weight = numbers(1, 1, 1, channels, seed=7) / np.float32(channels)
    window = {"kernel": 1, "stride": 1, "groups": 1, "pad": 0}
    head = Op(kind="conv", inputs=(len(ops),), attributes=window, constants={"weight": weight})
    return [*ops, head, Op(kind="sigmoid", inputs=(len(ops) + 1,))]


def stem(channels: int, seed: int) -> Op:
    window = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0}
    constants = {"weight": numbers(channels, 3, 3, 1, seed=seed), "bias": numbers(channels, seed=seed + 1)}
    return Op(kind="conv", inputs=(0,), attributes=window, constants=constants)


def constants_of(rng: np.random.Generator, filters: int, *groups: tuple[str, ...]) -> dict[str, Array]:
    """Some of the groups of roles, each with numbers of both signs and zeros."""
    chosen = [role for group in groups if rng.random() < 0.6 for role in group]
    made = {role: numbers(filters, seed=int(rng.integers(1 << 30))) for role in chosen}
    for part in made.values():
        part[rng.random(filters) < 0.1] = rng.choice(np.float32([0.0, -0.0]))
    return made


def block(rng: np.random.Generator, x: int, channels: int, filters: int, **window: int) -> Op:
    """A binary block with random roles on tensor ``x``; its residual, where it has one, is tensor ``x`` too."""
    attributes: dict[str, Any] = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, **window, "channels": channels}
    can_add = filters == channels and attributes["stride"] == 1
    residual = str(rng.choice(["none", "after", "before"])) if can_add else "none"
    kernel, groups = attributes["kernel"], attributes["groups"]
    constants = {"bits": bits(filters, kernel, channels // groups, int(rng.integers(1 << 30)))}
    constants["scale"] = numbers(filters, seed=int(rng.integers(1 << 30)))
    by_class = kernel == 3 and rng.random() < 0.3
    constants["bias"] = numbers(*((4, 4, filters) if by_class else (filters,)), seed=int(rng.integers(1 << 30)))
    constants |= constants_of(rng, filters, ("shift",), ("lo", "hi"), ("c",))
    constants |= constants_of(rng, channels, ("sign_scale", "sign_shift"))
    constants |= constants_of(rng, filters, ("post_a", "post_b"), ("post_lo", "post_hi"), ("post_c",))
    if residual == "before" or (residual == "after" and "c" in constants):
        constants |= constants_of(rng, filters, ("g",))
    if "post_c" in constants:
        constants |= constants_of(rng, filters, ("post_g",))
    inputs = (x,) if residual == "none" else (x, x)
    return Op(kind="binary_block", inputs=inputs, attributes={**attributes, "residual": residual}, constants=constants)


def of_few_channels(channels: int) -> Model:
    """Every op that takes a row of few channels as one run of values."""
    rng = np.random.default_rng(channels)
    ops = [stem(channels, channels), block(rng, 1, channels, channels), block(rng, 2, channels, channels, kernel=1)]
    ops.append(Op(kind="pool", inputs=(3,), attributes={"kind": "average"}))
    twice = {"channels": 2 * channels, "starts": [0]}
    ops.append(Op(kind="mix", inputs=(4,), attributes=twice, constants={}))
    ops.append(block(rng, 5, 2 * channels, 2 * channels))
    ops.append(Op(kind="upsample", inputs=(6,), attributes={"kind": "bilinear"}))
    halves = {"channels": channels, "starts": [0, channels]}
    ops.append(Op(kind="mix", inputs=(7, 7), attributes=halves, constants=constants_of(rng, channels, ("lo0", "hi0"))))
    ops.append(Op(kind="concat", inputs=(8, 3)))
    ops.append(Op(kind="mix", inputs=(9, 8), attributes={"channels": channels, "starts": [1, 0]}, constants={}))
    return model(ended(ops, channels), multiple=2, pad=2)


def assert_same(wanted_of: Model, height: int, width: int, *, seed: int = 3, ways: Any = WAYS) -> None:
    """The engine's bits are the reference's on one image."""
    x_hwc = reference.make_reference_input(height, width, wanted_of.input.channels, seed) - np.float32(0.5)
    wanted = reference.run(wanted_of, x_hwc)
    content = format.write(wanted_of)
    for name in engine.kernels():
        loaded = engine.Model(content, kernels=name)
        for mode, threads in ways:
            mask = loaded.run(x_hwc[None], threads, extend=False, mode=mode)[0]
            where = f"{name}, {mode}, {threads} threads, {height}x{width}"
            np.testing.assert_array_equal(mask.view(np.uint32), wanted.view(np.uint32), err_msg=where)
