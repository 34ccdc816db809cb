"""Per-channel layers against their formulas, element by element."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from irnas.core.errors import SpaceError
from irnas.nn.channel import (
    ACTIVATIONS,
    Add,
    Average,
    ChannelAffine,
    ChannelShift,
    Concat,
    MaxOut,
    RPReLU,
    SampleNorm,
    Subsample,
    activation,
)


def image() -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def scatter(layer: torch.nn.Module) -> None:
    """Parameters of both signs, so that no symmetric default hides a slip."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))


def test_rprelu_bends_at_its_knee() -> None:
    layer, x = RPReLU(3).double(), image()
    scatter(layer)
    y = layer(x)
    for n, c, i, j in ((0, 0, 0, 0), (1, 1, 2, 3), (0, 2, 3, 4), (1, 0, 1, 1), (0, 1, 3, 0)):
        value, a, g, b = x[n, c, i, j], layer.knee[c], layer.slope[c], layer.shift[c]
        expected = value - a + b if value > a else g * (value - a) + b
        torch.testing.assert_close(y[n, c, i, j], expected)


def test_maxout_has_a_slope_on_either_side() -> None:
    layer, x = MaxOut(3).double(), image()
    scatter(layer)
    p, q = layer.above.view(1, -1, 1, 1), layer.below.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x), p * x.clamp(min=0) + q * x.clamp(max=0))


def test_maxout_has_the_gradients_of_its_formula() -> None:
    layer = MaxOut(3).double()
    scatter(layer)
    names = [name for name, _ in layer.named_parameters()]

    def call(x: Tensor, *values: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))
        return y

    assert torch.autograd.gradcheck(call, (image().requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_start_as_their_papers_say(name: str) -> None:
    layer = activation(name, 3)
    x = torch.tensor([-2.0, 0.5, 2.0]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    y = x if layer is None else layer(x)
    negative = {"none": -2.0, "hardtanh": -1.0, "relu": 0.0}.get(name, -0.5)
    assert y[0, 1, 0].tolist() == [negative, 0.5, 1.0 if name == "hardtanh" else 2.0]


def test_an_unknown_activation_is_refused_by_name() -> None:
    with pytest.raises(SpaceError, match="got 'gelu'; one of none, hardtanh"):
        activation("gelu", 3)


def test_affine_and_shift_start_as_identity_and_act_per_channel() -> None:
    x = image()
    for layer in (ChannelAffine(3).double(), ChannelShift(3).double()):
        assert torch.equal(layer(x), x)
    affine = ChannelAffine(3).double()
    scatter(affine)
    shift = ChannelShift(3).double()
    scatter(shift)
    torch.testing.assert_close(shift(x), x + shift.shift.view(1, -1, 1, 1))
    torch.testing.assert_close(affine(x), x * affine.scale.view(1, -1, 1, 1) + affine.shift.view(1, -1, 1, 1))


def test_sample_norm_knows_one_sample_at_a_time() -> None:
    x = image()
    y = SampleNorm()(x * 3 + 1)
    torch.testing.assert_close(y.mean((1, 2, 3)), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(y[:1], SampleNorm()(x[:1] * 3 + 1))


def test_arithmetic_between_branches() -> None:
    x, y = image(), image() + 1
    assert torch.equal(Add()(x, y), x + y)
    assert torch.equal(Average()(x, y), (x + y) / 2)
    assert Concat()(x, y).shape == (2, 6, 4, 5)
    assert torch.equal(Subsample()(x)[0, 0, 1, 2], x[0, 0, 2, 4])
