"""Vectors, excitation and narrow convolutions: the engine's bits are the reference's, whichever way a map lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.engine import assert_same, block, ended, model, stem
from support.native import library, products  # noqa: F401
from support.xnor_file import numbers

from irnas.runtime.graph import Op

pytestmark = pytest.mark.usefixtures("library")
SIZES = [(4, 4), (8, 20), (4, 68), (12, 132)]


def conv(x: int, channels: int, filters: int, kernel: int = 3, *, seed: int = 5, **window: int) -> Op:
    attributes = {"kernel": kernel, "stride": 1, "groups": 1, "pad": 0, **window}
    constants = {
        "weight": numbers(filters, kernel, kernel, channels, seed=seed),
        "bias": numbers(filters, seed=seed + 1),
    }
    return Op(kind="conv", inputs=(x,), attributes=attributes, constants=constants)


def slopes(x: int, channels: int, *, start: int = 0, **more: Any) -> Op:
    constants = {"lo0": numbers(channels, seed=8), "hi0": numbers(channels, seed=9), **more}
    return Op(kind="mix", inputs=(x,), attributes={"channels": channels, "starts": [start]}, constants=constants)


def excitation(x: int, channels: int, wide: int, kernel: int) -> list[Op]:
    """From map ``x`` to a vector of ``wide`` factors."""
    mean = Op(kind="mean", inputs=(x,), attributes={"kernel": kernel})
    hidden = conv(x + 1, kernel * kernel * channels, 3, 1, seed=20)
    return [mean, hidden, slopes(x + 2, 3), conv(x + 3, 3, wide, 1, seed=30), Op(kind="sigmoid", inputs=(x + 4,))]


def project(x: int, factors: int, channels: int, wide: int | None = None) -> Op:
    constants = {"weight": numbers(1, 3, 3, wide or channels, seed=40) / np.float32(8), "bias": numbers(1, seed=41)}
    if wide is not None:
        constants |= {"expand": numbers(wide, 3, 3, channels, seed=42), "expand_bias": numbers(wide, seed=43)}
    return Op(kind="excite_project", inputs=(x, factors), constants=constants)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "wide"), [(1, None), (4, None), (19, None), (3, 5), (4, 16), (17, 33)])
def test_a_map_is_excited_and_projected(size: tuple[int, int], channels: int, wide: int | None) -> None:
    ops = [stem(channels, 1), *excitation(1, channels, wide or channels, 1 if wide is None else 3)]
    ops.append(project(1, 6, channels, wide))
    assert_same(model([*ops, Op(kind="sigmoid", inputs=(7,))]), *size)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (5, 2)])
def test_images_smaller_than_the_window_see_every_border(size: tuple[int, int]) -> None:
    ops = [stem(2, 1), *excitation(1, 2, 6, 3), project(1, 6, 2, 6), Op(kind="sigmoid", inputs=(7,))]
    assert_same(model(ops, multiple=1, pad=1), *size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("filters", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize(("channels", "kernel"), [(2, 3), (4, 3), (16, 3), (33, 3)])
def test_few_outputs(size: tuple[int, int], filters: int, channels: int, kernel: int) -> None:
    """Convolutions whose lanes are pixels, with an activation and without, and maps turned there and back."""
    ops = [stem(channels, 1), conv(1, channels, filters, kernel), slopes(2, filters), conv(3, filters, filters, kernel)]
    assert_same(model(ended(ops, filters)), *size)


@pytest.mark.parametrize("filters", [4, 16, 20])
def test_a_convolution_takes_in_its_activation_only_where_nobody_else_reads_it(filters: int) -> None:
    first, second = conv(1, 3, filters), slopes(2, filters)
    both = Op(kind="mix", inputs=(2, 3), attributes={"channels": filters, "starts": [0, 0]})
    assert_same(model(ended([stem(3, 1), first, second, both], filters)), 8, 20)
    assert_same(model(ended([stem(3, 1), first, slopes(2, filters, start=1)], filters)), 8, 20)
    assert_same(model(ended([stem(3, 1), first, slopes(2, filters, c0=numbers(filters, seed=3))], filters)), 8, 20)
    halved = [stem(3, 1), conv(1, 3, filters, stride=2), slopes(2, filters)]
    double = Op(kind="upsample", inputs=(3,), attributes={"kind": "nearest"})
    assert_same(model(ended([*halved, double], filters)), 8, 20)


def test_a_narrow_map_is_read_by_binary_layers_and_by_narrow_convolutions() -> None:
    narrow = conv(1, 4, 4)
    binary = block(np.random.default_rng(4), 2, 4, 4)
    both = Op(kind="mix", inputs=(3, 4), attributes={"channels": 4, "starts": [0, 0]})
    ops = [stem(4, 1), narrow, binary, conv(2, 4, 4, seed=50), both]
    assert_same(model(ended(ops, 4)), 12, 36)


def test_a_sigmoid_inside_and_maps_of_one_channel() -> None:
    one = {"a1": numbers(1, seed=2), "b1": numbers(1, seed=3), "c0": numbers(1, seed=4)}
    both = Op(kind="mix", inputs=(2, 0), attributes={"channels": 1, "starts": [0, 0]}, constants=one)
    half = Op(
        kind="mix",
        inputs=(3,),
        attributes={"channels": 1, "starts": [0]},
        constants={"lo0": numbers(1, seed=5), "hi0": numbers(1, seed=6)},
    )
    ops = [conv(0, 1, 1), Op(kind="sigmoid", inputs=(1,)), both, half, Op(kind="sigmoid", inputs=(4,))]
    for size in ((4, 4), (4, 36), (8, 16)):
        assert_same(model(ops), *size)
