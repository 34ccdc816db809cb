"""The binary convolutions against loops over the taps, on small maps whose border is most of the image."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from irnas.core.errors import SpaceError
from irnas.nn import BINARIZERS, BinaryConv2d, DotBinaryConv2d, Sign, WeightSign, binarize


def conv(cin: int, cout: int, kernel: int, *, sign: bool = True, **options: object) -> BinaryConv2d:
    torch.manual_seed(3)
    layer = BinaryConv2d(
        cin,
        cout,
        kernel,
        sign=Sign("quad") if sign else None,
        weight_sign=WeightSign("clip"),
        **options,  # type: ignore[arg-type]
    )
    with torch.no_grad():
        layer.weight += 0.05
    return layer.double()


def image(channels: int, height: int = 5, width: int = 4, num: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(num, channels, height, width, generator=generator, dtype=torch.float64)
    # Exact zeros are signs too.
    x[:, :, 1, 1] = 0
    return x


def oracle(layer: BinaryConv2d, x: Tensor) -> Tensor:
    """Loops over every output and every tap; out-of-image taps contribute ``pad``."""
    binarized = binarize(layer.weight.detach(), layer.binarizer, layer.weight_sign)
    num, _, height, width = x.shape
    per_in, per_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    rows, columns = range(0, height, layer.stride), range(0, width, layer.stride)
    y = torch.zeros(num, layer.out_channels, len(rows), len(columns), dtype=x.dtype)
    half = layer.kernel // 2
    for n, o, (i, row), (j, column) in itertools.product(
        range(num), range(layer.out_channels), enumerate(rows), enumerate(columns)
    ):
        scale = 1.0 if layer.scale is None else layer.scale[o].item()
        scale = scale if binarized.scale is None else binarized.scale[o].item()
        shift = 0.0 if binarized.shift is None else binarized.shift[o].item()
        total = 0.0
        for c, ky, kx in itertools.product(range(per_in), range(layer.kernel), range(layer.kernel)):
            at_row, at_column = row + ky - half, column + kx - half
            inside = 0 <= at_row < height and 0 <= at_column < width
            value = x[n, o // per_out * per_in + c, at_row, at_column].item() if inside else 0.0
            a, b = 1.0, 0.0
            if layer.set_scale is not None and layer.set_shift is not None:
                a, b = layer.set_scale.item(), layer.set_shift.item()
            if layer.sign is None:
                tap = value if inside else float(layer.pad)
            elif inside:
                tap = a * (1.0 if (value - b) / a >= 0 else -1.0) + b
            else:
                tap = a * layer.pad + b if layer.pad else 0.0
            total += tap * (scale * binarized.bits[o, c, ky, kx].item() + shift)
        y[n, o, i, j] = total
    return y


@pytest.mark.parametrize("pad", [0, 1, -1])
@pytest.mark.parametrize("binarizer", BINARIZERS)
def test_it_equals_a_loop_over_taps(binarizer: str, pad: int) -> None:
    layer, x = conv(3, 4, 3, binarizer=binarizer, pad=pad), image(3)
    torch.testing.assert_close(layer(x), oracle(layer, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (1, 2, 1), (3, 2, 2), (3, 1, 4), (5, 1, 2)])
def test_it_does_for_other_kernels_strides_and_groups(kernel: int, stride: int, groups: int) -> None:
    layer, x = conv(4, 8, kernel, stride=stride, groups=groups), image(4, 6, 6)
    torch.testing.assert_close(layer(x), oracle(layer, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pad", [0, 1, -1])
@pytest.mark.parametrize("binarizer", ["sign", "adabin"])
def test_adaptive_sets_scale_and_shift_all_but_the_padding(binarizer: str, pad: int) -> None:
    layer, x = conv(3, 4, 3, binarizer=binarizer, pad=pad, adaptive=True), image(3)
    with torch.no_grad():
        assert layer.set_scale is not None and layer.set_shift is not None
        layer.set_scale.fill_(0.7)
        layer.set_shift.fill_(-0.2)
    torch.testing.assert_close(layer(x), oracle(layer, x), rtol=1e-9, atol=1e-9)
    layer(x).sum().backward()
    assert layer.set_scale.grad is not None and layer.set_scale.grad != 0
    assert layer.set_shift.grad is not None and layer.set_shift.grad != 0


def test_without_a_sign_activations_keep_their_precision() -> None:
    layer, x = conv(3, 4, 3, sign=False), image(3)
    torch.testing.assert_close(layer(x), oracle(layer, x), rtol=1e-9, atol=1e-9)


def test_scales_stay_outside_an_integer_convolution() -> None:
    """In single precision too: the sums are integers below 2^24, so scale and shift alone round, once each."""
    layer, x = conv(16, 8, 3).float().eval(), image(16, 9, 9).float()
    binarized = binarize(layer.weight, "adabin", layer.weight_sign)
    signs = torch.where(x >= 0, 1.0, -1.0)
    exact = torch.nn.functional.conv2d(signs.double(), binarized.bits.double(), padding=1)
    window = torch.nn.functional.conv2d(signs.double(), torch.ones(1, 16, 3, 3).double(), padding=1)
    assert torch.equal(exact, exact.round()) and exact.abs().max() <= 144
    assert binarized.scale is not None and binarized.shift is not None
    expected = torch.addcmul(
        exact.float() * binarized.scale.view(1, -1, 1, 1), window.float(), binarized.shift.view(1, -1, 1, 1)
    )
    assert torch.equal(layer(x), expected)


def test_a_padded_tap_is_neither_sign() -> None:
    layer = conv(2, 1, 3, binarizer="sign")
    with torch.no_grad():
        layer.weight.fill_(1.0)
    y = layer(torch.ones(1, 2, 3, 3).double())
    assert y[0, 0].tolist() == [[8, 12, 8], [12, 18, 12], [8, 12, 8]]


@pytest.mark.parametrize("bad", [{"groups": 2}, {"kernel": 2}, {"binarizer": "ternary"}])
def test_what_cannot_be_built_is_refused(bad: dict[str, object]) -> None:
    options: dict[str, object] = {"kernel": 3, **bad}
    with pytest.raises(SpaceError, match=r"must divide evenly|one of sign"):
        BinaryConv2d(3, 4, sign=None, weight_sign=WeightSign("clip"), **options)  # type: ignore[arg-type]


def dot(channels: int = 6, *, estimator: str = "clip", **options: object) -> DotBinaryConv2d:
    torch.manual_seed(5)
    layer = DotBinaryConv2d(channels, weight_sign=WeightSign(estimator), **options)  # type: ignore[arg-type]
    with torch.no_grad():
        # Off-centre, so that the sign of a weight is not that of its distance from the mean.
        layer.weight += 0.4
    return layer.double()


@pytest.mark.parametrize("norm", ["rms", "l2"])
def test_dot_binary_has_two_factors_from_the_mean_of_channels(norm: str) -> None:
    layer = dot(norm=norm)
    weights = layer.weight.detach().flatten().tolist()
    beta = sum(weights) / len(weights)
    length = math.sqrt(sum((w - beta) ** 2 for w in weights))
    alpha = length if norm == "l2" else length / math.sqrt(len(weights))
    expected = [beta + alpha if w >= beta else beta - alpha for w in weights]
    assert len(set(expected)) == 2
    assert layer.factors().flatten().tolist() == pytest.approx(expected, rel=1e-9)


def test_dot_binary_equals_the_papers_equation_17() -> None:
    layer, a = dot(), image(6)
    bits = torch.where(layer.weight >= layer.weight.mean(), 1.0, -1.0).view(1, -1, 1, 1)
    low, high = layer.factors().min(), layer.factors().max()
    alpha, beta = (high - low) / 2, (high + low) / 2
    counted = torch.where(a >= 0, 1.0, -1.0) * bits
    torch.testing.assert_close(layer(a), alpha * a.abs() * counted + beta * a)


@pytest.mark.parametrize("through", [True, False])
def test_dot_binary_may_cut_the_gradient_of_scale_and_shift(through: bool) -> None:
    layer, x = dot(estimator="identity", through=through), image(6)
    layer(x).sum().backward()

    weight = layer.weight.detach().clone().view(1, -1, 1, 1).requires_grad_()
    shift = weight.mean()
    scale = (weight - shift).square().mean().sqrt()
    unit = (weight - shift) / scale
    # The identity estimator in the paper's form: forward the sign, backward its argument.
    bits = torch.where(unit >= 0, 1.0, -1.0) + unit - unit.detach()
    (x * (bits * (scale if through else scale.detach()) + (shift if through else shift.detach()))).sum().backward()
    torch.testing.assert_close(layer.weight.grad.flatten(), weight.grad.flatten(), rtol=1e-6, atol=1e-9)


def test_the_gradient_of_a_dot_binary_activation_is_its_factor() -> None:
    layer, x = dot(), image(6).requires_grad_()
    (grad,) = torch.autograd.grad(layer(x).sum(), x)
    torch.testing.assert_close(grad, layer.factors().expand_as(x))
