from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import pytest
import torch
from support.fused import assert_precise, assert_same, differentiated, grown, image, kernels  # noqa: F401
from support.native import products  # noqa: F401
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.nn import fused
from irnas.nn.binary import DotBinaryConv2d
from irnas.nn.block import Fuse, Layer, Recipe, Up
from irnas.nn.channel import Average
from irnas.nn.sign import WeightSign

CHANNELS = (1, 3, 8, 12, 16, 64)

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights behind a normalisation are rounded worse than this file allows once in some hundred draws."""
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("kind", "redist"), [*itertools.product(("BC", "DB"), (False, True))])
def test_a_layer_is_that_of_plain_modules(channels: int, kind: str, redist: bool) -> None:
    layer = grown(Layer(Recipe(), kind, channels, redist=redist))
    assert_same(layer, image(channels))
    assert_same(layer, image(channels, last=False))


RECIPES = [
    *(Recipe(est_a=a, est_w=w) for a in fused.ESTIMATORS for w in fused.ESTIMATORS),
    *(Recipe(w_bin=w) for w in ("sign", "xnor_mean", "libra_pow2", "siman")),
    *(Recipe(a_bin=a) for a in ("rsign", "affine", "adabin", "norm", "none")),
    Recipe(est_a="ede"),
    Recipe(est_w="tanh_learn"),
    Recipe(k_scope="channel", est_w="dysoftsign"),
    Recipe(at_zero=0),
    Recipe(act_bc="none", act_db="hardtanh"),
    Recipe(residual="add_then_act"),
    Recipe(residual="none"),
    Recipe(redist_shift=True),
    Recipe(bn=True),
    Recipe(bn=True, act_bc="maxout", act_db="rprelu"),
    Recipe(bn=True, act_bc="none", act_db="prelu"),
    Recipe(bn=True, a_bin="rsign", out_affine=True),
    Recipe(bn=True, a_bin="none", residual="none"),
    Recipe(bn=True, residual="add_then_act"),
    Recipe(out_affine=True),
    Recipe(pad=1),
    Recipe(db_norm="l2"),
    Recipe(db_through=False),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_every_recipe_is_that_of_plain_modules(recipe: Recipe, kind: str) -> None:
    # No activation with its kink at 0: there lie the pixels whose signs cancel, and rounding decides on their gradient.
    assert_same(grown(Layer(recipe, kind, 8, redist=True)), image(8))


def test_zeros_have_the_sign_and_the_slope_of_the_plain_modules() -> None:
    x_nchw = image(8)
    x_nchw[:, ::2] = 0
    for at_zero in (0, 1):
        assert_same(grown(Layer(Recipe(at_zero=at_zero), "BC", 8)), x_nchw)
    assert_same(grown(Layer(Recipe(), "DB", 8)), x_nchw)


def test_a_map_that_does_not_fill_vectors_takes_the_plain_way() -> None:
    odd = torch.randn(1, 3, 5, 7)
    assert not fused.is_even(odd) and fused.is_even(image(3))
    assert_same(grown(Layer(Recipe(), "DB", 3)), odd)


def test_gradients_are_those_of_differences() -> None:
    """Where everything is smooth: the dot layer away from its kink, in its per-channel parameters."""
    layer = grown(Layer(Recipe(), "DB", 8, redist=True))
    x_nchw = image(8).abs() + 0.5
    tensors = differentiated(layer, x_nchw)

    def value() -> float:
        y_nchw = layer(x_nchw)
        return float((y_nchw * torch.randn(y_nchw.shape, generator=torch.Generator().manual_seed(1))).double().sum())

    for name in ("redist.scale", "act.above"):
        parameter = dict(layer.named_parameters())[name]
        with torch.no_grad():
            parameter[3] += 1e-2
            above = value()
            parameter[3] -= 2e-2
            slope = (above - value()) / 2e-2
            parameter[3] += 1e-2
        assert tensors[name][3] == pytest.approx(slope, rel=2e-2, abs=5e-2), name


def test_a_network_trains_the_same_way() -> None:
    def trace(around: Callable[[], object]) -> list[float]:
        torch.manual_seed(0)
        network = models.build(catalog.find_point("biisnet", "default")).train()
        x_nchw, losses = torch.rand(4, 1, 32, 32), []
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        for _ in range(3):
            with around():  # type: ignore[attr-defined]
                loss = network(x_nchw).square().mean()
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert trace(contextlib.nullcontext) == pytest.approx(trace(fused.off), rel=1e-3)


def test_a_library_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_INTERFACE", fused._INTERFACE + 1)
    fused._library.cache_clear()
    try:
        assert not fused.is_built()
    finally:
        monkeypatch.undo()
        fused._library.cache_clear()


@pytest.mark.parametrize("bn", [False, True])
@pytest.mark.parametrize("kind", ["DB", "BC"])
@pytest.mark.parametrize("channels", [4, 6, 16])
def test_transitions_are_those_of_double_precision(kind: str, bn: bool, channels: int) -> None:
    def units() -> list[nn.Module]:
        return [Layer(Recipe(bn=bn), kind, channels), Layer(Recipe(bn=bn), kind, channels)]

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.fuse = Up("bilinear", units()), Fuse(units())

        def forward(self, x_nchw: Tensor) -> Tensor:
            return self.fuse(self.up(x_nchw), self.up.scale(x_nchw[:, channels:]).sin())

    network = grown(Both())
    # No sign between a rounding and the output: the plain way and this one would decide some of them differently.
    x_nchw = image(2 * channels)
    if kind == "DB":
        assert_precise(network, x_nchw)
    with fused.off():
        wanted = network.up(x_nchw)
    torch.testing.assert_close(network.up(x_nchw), wanted, rtol=1e-5, atol=1e-5)


def test_halves_of_an_average_take_no_pass_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Average, "forward", lambda *_: pytest.fail("added by a pass of its own"))
    fuse = grown(Fuse([Layer(Recipe(), "DB", 8), Layer(Recipe(), "DB", 8)]))
    fuse(image(8), image(8))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_quick_evaluation_is_that_of_plain_modules(recipe: Recipe, kind: str) -> None:
    layer, x_nchw = grown(Layer(recipe, kind, 8, redist=True)).eval(), image(8)
    with torch.no_grad():
        wanted = layer(x_nchw)
        with fused.quick():
            torch.testing.assert_close(layer(x_nchw), wanted, rtol=1e-4, atol=1e-4)


def test_evaluation_is_left_alone() -> None:
    layer, x_nchw = grown(Layer(Recipe(), "BC", 8)).eval(), image(8)
    with fused.off():
        wanted = layer(x_nchw)
    assert torch.equal(layer(x_nchw), wanted)
    with fused.quick():
        # Gradients may be wanted here, of which the plain modules know more.
        assert torch.equal(layer(x_nchw), wanted)
    dot = DotBinaryConv2d(8, weight_sign=WeightSign("clip"))
    dot.train()
    torch.testing.assert_close(dot.factors(), dot.eval().factors())
