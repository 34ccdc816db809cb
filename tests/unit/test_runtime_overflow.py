"""What overflows, overflows alike: infinities and NaN take the same way through every kernel set and the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.native import library, products  # noqa: F401
from support.xnor_file import bits, numbers

from irnas.runtime import arithmetic, engine, format, reference
from irnas.runtime.format import Input, Model, Reference
from irnas.runtime.graph import Op

Array = np.ndarray[Any, np.dtype[Any]]
pytestmark = pytest.mark.usefixtures("library")

HUGE = np.float32(3e38)
CHANNELS = 16


def huge(seed: int, *, every: int = 2) -> Array:
    """A constant a channel, of both signs; each ``every``-th is so large that few times of it overflow."""
    values = numbers(CHANNELS, seed=seed)
    values[::every] = np.copysign(HUGE, values[::every])
    return values


def conv(x: int, weight: Array) -> Op:
    window = {"kernel": weight.shape[1], "stride": 1, "groups": 1, "pad": 0}
    return Op(kind="conv", inputs=(x,), attributes=window, constants={"weight": weight})


def stem() -> Op:
    weight = numbers(CHANNELS, 3, 3, 1, seed=1)
    weight[::3] *= HUGE / np.abs(weight).max()
    return conv(0, weight)


def ended(ops: list[Op]) -> Model:
    """The model whose output is channel 0: a sum over channels would make a NaN of nearly everything."""
    first = Op(kind="mix", inputs=(len(ops),), attributes={"channels": 1, "starts": [0]})
    run_of = Reference(height=4, width=4, seed=0, input_sha256="0" * 64, output_sha256="0" * 64)
    graph = (*ops, first, Op(kind="sigmoid", inputs=(len(ops) + 1,)))
    return Model(input=Input(channels=1, multiple=2, pad=2), ops=graph, reference=run_of)


def block(residual: str, **constants: Array) -> Op:
    attributes = {"kernel": 3, "stride": 1, "groups": 1, "pad": 0, "residual": residual, "channels": CHANNELS}
    own = {"bits": bits(CHANNELS, 3, CHANNELS, 3), "scale": huge(5), "bias": numbers(CHANNELS, seed=6)} | constants
    inputs = (1,) if residual == "none" else (1, 1)
    return Op(kind="binary_block", inputs=inputs, attributes=attributes, constants=own)


def mix(**constants: Array) -> Op:
    return Op(kind="mix", inputs=(1,), attributes={"channels": CHANNELS, "starts": [0]}, constants=constants)


def ways(seed: int) -> dict[str, Array]:
    """A constant of each role of a two-slope map."""
    return {role: numbers(CHANNELS, seed=seed + n) for n, role in enumerate(("a", "b", "lo", "hi", "g", "c"))}


ROLES = ["a b", "c", "g c", "lo hi", "lo hi c", "a b lo hi", "a b lo hi c", "a b lo hi g c"]
GRAPHS = {
    "conv": [stem()],
    "conv of sums": [stem(), conv(1, numbers(CHANNELS, 3, 3, CHANNELS, seed=8))],
    **{f"mix {roles}": [stem(), mix(**{f"{r}0": ways(20)[r] for r in roles.split()})] for roles in ROLES},
    **{
        f"block {residual}, behind it {roles}": [
            stem(),
            block(residual, **{f"post_{r}": ways(40)[r] for r in roles.split()}),
        ]
        for residual in ("none", "after", "before")
        for roles in ROLES
    },
    "block with a shift": [stem(), block("after", shift=huge(50), lo=huge(51), hi=huge(52), c=huge(53))],
    "center": [stem(), Op(kind="center", inputs=(1,))],
    "clamp": [stem(), Op(kind="clamp", inputs=(1,))],
    "pool and upsample": [
        stem(),
        Op(kind="pool", inputs=(1,), attributes={"kind": "average"}),
        Op(kind="upsample", inputs=(2,), attributes={"kind": "bilinear"}),
    ],
    "two mixed": [
        stem(),
        Op(
            kind="mix",
            inputs=(1, 1),
            attributes={"channels": CHANNELS, "starts": [0, 3]},
            constants={"c0": ways(60)["c"], "g1": ways(61)["g"], "c1": ways(62)["c"]},
        ),
    ],
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_set_overflows_like_the_reference(graph: str) -> None:
    model = ended(GRAPHS[graph])
    x_hwc = (reference.make_reference_input(6, 22, 1, 3) - np.float32(0.5)) * np.float32(16)
    tensors = reference.compute_tensors(model, x_hwc)
    assert not np.isfinite(tensors[1]).all(), "nothing overflows here"
    wanted = tensors[-1][:, :, 0]
    assert np.isfinite(wanted).all()
    content = format.write(model)
    for name in engine.kernels():
        loaded = engine.Model(content, kernels=name)
        for mode in ("streamed", "layers"):
            mask = loaded.run(x_hwc[None], extend=False, mode=mode)[0]
            np.testing.assert_array_equal(mask.view(np.uint32), wanted.view(np.uint32), err_msg=f"{name}, {mode}")


def test_no_number_is_a_probability_of_one() -> None:
    (least,) = arithmetic.sigmoid(np.float32([-87]))
    y = arithmetic.sigmoid(np.float32([np.nan, np.inf, -np.inf, 88, 0]))
    np.testing.assert_array_equal(y, np.float32([1, 1, least, 1, 0.5]))
