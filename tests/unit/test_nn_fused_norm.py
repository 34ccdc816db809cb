"""Kernels of layers with batch normalisation, against plain modules in double precision."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from support.fused import assert_precise, assert_same, differentiated, grown, image, kernels  # noqa: F401
from support.native import products  # noqa: F401
from torch import Tensor, nn

from irnas.nn import fused, fused_norm
from irnas.nn.block import Layer, Recipe
from irnas.nn.channel import MaxOut, RPReLU

CHANNELS = (1, 4, 6, 8, 10, 12, 14, 16, 64)
RECIPE = Recipe(bn=True)

pytestmark = pytest.mark.usefixtures("kernels")


class Activated(nn.Module):
    """What follows a binary convolution, alone."""

    def __init__(self, channels: int, act: RPReLU | MaxOut, *, adds: bool) -> None:
        super().__init__()
        self.norm, self.act, self.adds = nn.BatchNorm2d(channels), act, adds

    def forward(self, x_nchw: Tensor) -> Tensor:
        residual = x_nchw.sin() if self.adds else None
        if fused_norm.suits(self.norm, x_nchw):
            return fused_norm.activate(x_nchw, self.norm, self.act, residual)
        y_nchw = self.act(self.norm(x_nchw))
        return y_nchw if residual is None else y_nchw + residual


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("kind", "redist"), [*itertools.product(("BC", "DB"), (False, True))])
def test_a_layer_is_that_of_double_precision(channels: int, kind: str, redist: bool) -> None:
    layer = grown(Layer(RECIPE, kind, channels, redist=redist))
    assert_precise(layer, image(channels))
    assert_same(layer, image(channels, last=False))


@pytest.mark.parametrize("act", [RPReLU, MaxOut])
@pytest.mark.parametrize("adds", [False, True])
def test_an_activation_is_that_of_double_precision(act: type[RPReLU] | type[MaxOut], adds: bool) -> None:
    assert_precise(grown(Activated(8, act(8), adds=adds)), image(8))


def test_a_constant_channel_is_normalised_to_its_shift() -> None:
    x_nchw = image(8)
    x_nchw[:, 2], x_nchw[:, 3] = 1000.1, 0
    layer = grown(Activated(8, RPReLU(8), adds=True))
    assert_precise(layer, x_nchw)
    assert isinstance(layer.norm, nn.BatchNorm2d) and layer.norm.running_var is not None
    torch.testing.assert_close(layer.norm.running_var[2:4], torch.full((2,), 0.9**2))
    assert_precise(grown(Layer(RECIPE, "DB", 8, redist=True)), x_nchw)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    x_nchw = image(8) + 1000
    norm, exact = nn.BatchNorm2d(8, momentum=1.0), nn.BatchNorm2d(8, momentum=1.0).double()
    fused_norm.activate(x_nchw, norm, MaxOut(8), None)
    exact(x_nchw.double())
    assert norm.running_var is not None and exact.running_var is not None
    torch.testing.assert_close(norm.running_var.double(), exact.running_var, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_normalisation_takes_one_kernel_a_direction(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    call = fused.call
    monkeypatch.setattr(fused, "call", lambda name, *rest: (names.append(name), call(name, *rest)))
    differentiated(grown(Layer(RECIPE, kind, 8, redist=True)), image(8))
    wanted = ["irnas_norm", "irnas_norm_backward"]
    around = {"BC": ["irnas_prepare", "irnas_adabin"], "DB": ["irnas_adabin"]}[kind]
    assert sorted(names) == sorted([*wanted, *around, *(f"{name}_backward" for name in around)])


def unusual() -> dict[str, nn.BatchNorm2d]:
    class Other(nn.BatchNorm2d):
        pass

    return {
        "unscaled": nn.BatchNorm2d(8, affine=False),
        "untracked": nn.BatchNorm2d(8, track_running_stats=False),
        "frozen": nn.BatchNorm2d(8).eval(),
        "derived": Other(8),
    }


@pytest.mark.parametrize("name", unusual())
def test_other_normalisations_take_the_plain_way(name: str) -> None:
    norm, x_nchw = unusual()[name], image(8)
    assert fused_norm.suits(nn.BatchNorm2d(8), x_nchw) and not fused_norm.suits(norm, x_nchw)
    for kind in ("BC", "DB"):
        layer = grown(Layer(RECIPE, kind, 8))
        layer.branch.norm = norm
        assert_same(layer, x_nchw)


@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_running_moments_may_be_the_mean_over_all_batches(kind: str) -> None:
    layer = grown(Layer(RECIPE, kind, 8))
    layer.branch.norm.momentum = None
    assert fused_norm.suits(layer.branch.norm, image(8))
    assert_precise(layer, image(8))


def test_a_single_pixel_is_refused_as_by_torch() -> None:
    x_nchw = torch.randn(1, 16, 1, 1)
    assert fused.is_even(x_nchw) and not fused_norm.suits(nn.BatchNorm2d(16), x_nchw)
    with pytest.raises(ValueError, match="more than 1 value"):
        Layer(RECIPE, "DB", 16)(x_nchw)


@pytest.mark.parametrize("skip", ["none", "fp", "binary"])
def test_residuals_that_change_channels_are_added(skip: str) -> None:
    assert_same(grown(Layer(RECIPE, "BC", 8, 16, stride=2, skip=skip)), image(8))


@pytest.mark.parametrize("bn", [False, True])
def test_a_dot_layer_keeps_the_convolution_of_its_residual(bn: bool) -> None:
    assert_same(grown(Layer(Recipe(bn=bn), "DB", 8, skip="fp")), image(8))


@pytest.mark.parametrize("redist", [False, True])
@pytest.mark.parametrize(("kind", "act"), [("BC", "rprelu"), ("BC", "maxout"), ("DB", "maxout"), ("DB", "rprelu")])
@pytest.mark.parametrize("channels", [4, 16])
def test_quick_evaluation_is_that_of_double_precision(channels: int, kind: str, act: str, redist: bool) -> None:
    """Running statistics are used, and stay; a shift that a scale of 0 hides counts as well."""
    layer = grown(Layer(Recipe(bn=True, act_bc=act, act_db=act), kind, channels, redist=redist))
    with torch.no_grad():
        if layer.redist is not None:
            layer.redist.scale[0] = 0
        layer(3 * image(channels) + 1)
    layer.eval()
    exact, kept = copy.deepcopy(layer).double(), copy.deepcopy(dict(layer.named_buffers()))
    with torch.no_grad(), fused.quick():
        num_calls, tensor = fused.num_calls(), layer(image(channels))
        assert fused.num_calls() > num_calls
        wanted = exact(image(channels).double())
    torch.testing.assert_close(tensor.double(), wanted, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in layer.named_buffers())


@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_evaluation_uses_the_running_statistics(kind: str) -> None:
    layer, x_nchw = grown(Layer(RECIPE, kind, 8)), image(8)
    layer(x_nchw)
    layer.eval()
    with fused.off():
        wanted = layer(x_nchw)
    assert torch.equal(layer(x_nchw), wanted)
