"""Layers put their parts in the promised order; transitions keep the promised shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn import BinaryConv2d, DotBinaryConv2d, Down, Fuse, Layer, Recipe, Up
from irnas.nn.channel import ChannelAffine, ChannelShift


def image(channels: int = 4, side: int = 8) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def scatter(module: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "conv.weight" not in name and "log_k" not in name:
                parameter += torch.randn(parameter.shape, generator=generator) * 0.3


@pytest.mark.parametrize("kind", ["BC", "DB"])
def test_the_residual_leaves_after_redistribution(kind: str) -> None:
    """Equations 9, 11 and 12 with the residual X_r."""
    layer, x = Layer(Recipe(), kind, 4, redist=True), image()
    scatter(layer)
    redistributed = layer.redist(x)
    torch.testing.assert_close(layer(x), layer.act(layer.branch.conv(redistributed)) + redistributed)


@pytest.mark.parametrize("residual", ["act_then_add", "add_then_act", "none"])
def test_the_residual_joins_where_it_is_told(residual: str) -> None:
    layer, x = Layer(Recipe(residual=residual), "BC", 4), image()
    scatter(layer)
    y = layer.branch(x)
    expected = {"act_then_add": layer.act(y) + x, "add_then_act": layer.act(y + x), "none": layer.act(y)}[residual]
    torch.testing.assert_close(layer(x), expected)


def test_the_branch_holds_its_parts_in_order() -> None:
    recipe = Recipe(a_bin="rsign", bn=True, out_affine=True, redist_shift=True)
    layer = Layer(recipe, "BC", 4, redist=True)
    assert list(dict(layer.branch.named_children())) == ["shift", "prepare", "conv", "norm", "affine"]
    dot = Layer(recipe, "DB", 4, redist=True)
    assert list(dict(dot.branch.named_children())) == ["shift", "conv", "norm", "affine"]
    assert isinstance(dot.branch.conv, DotBinaryConv2d) and isinstance(dot.branch.shift, ChannelShift)
    # The extra shift comes with ReDistribution only.
    assert "shift" not in dict(Layer(recipe, "BC", 4).branch.named_children())
    assert isinstance(Layer(Recipe(a_bin="affine"), "BC", 4).branch.prepare, ChannelAffine)


def test_sharpness_is_one_per_layer_or_per_channel() -> None:
    for scope, shape in (("layer", (1, 1, 1, 1)), ("channel", (1, 4, 1, 1))):
        conv = Layer(Recipe(k_scope=scope, est_w="dysoftsign", k0=0.1), "BC", 4).branch.conv
        assert isinstance(conv, BinaryConv2d) and conv.sign is not None
        assert tuple(conv.sign.log_k.shape) == shape
        assert conv.weight_sign.log_k.numel() == conv.sign.log_k.numel()
        assert conv.sign.log_k.exp().flatten()[0].item() == pytest.approx(0.1)
        assert conv.weight_sign.log_k.exp().flatten()[0].item() == pytest.approx(1.0)


@pytest.mark.parametrize("skip", ["none", "fp", "binary"])
@pytest.mark.parametrize("stride", [1, 2])
def test_layers_that_change_their_channels(skip: str, stride: int) -> None:
    layer = Layer(Recipe(bn=True), "BC", 4, 8, stride=stride, skip=skip)
    assert layer(image()).shape == (2, 8, 8 // stride, 8 // stride)
    assert (layer.skip is None) == (skip == "none")


@pytest.mark.parametrize(
    ("kind", "out", "options"),
    [("BC", 8, {}), ("DB", 8, {"skip": "none"}), ("DB", 4, {"stride": 2}), ("XC", 4, {}), ("BC", 8, {"skip": "conv"})],
)
def test_layers_that_cannot_be_are_refused(kind: str, out: int, options: dict[str, object]) -> None:
    with pytest.raises(SpaceError, match="got"):
        Layer(Recipe(), kind, 4, out, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["a_bin", "k_scope", "residual"])
def test_a_recipe_refuses_unknown_words(field: str) -> None:
    with pytest.raises(SpaceError, match=f"{field}: got 'other'; one of"):
        Recipe(**{field: "other"})


def test_transitions_concatenate_split_and_average() -> None:
    x, skip = image(), image() + 1
    down = Down(nn.AvgPool2d(2), [nn.Identity(), nn.Identity()])(x)
    torch.testing.assert_close(down, torch.cat([nn.functional.avg_pool2d(x, 2)] * 2, 1))
    assert Down(nn.AvgPool2d(2), [nn.Identity()])(x).shape == (2, 4, 4, 4)
    up = Up("nearest", [nn.Identity(), nn.Identity()])(x)
    wide = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(up, (wide[:, :2] + wide[:, 2:]) / 2)
    assert Up("bilinear", [nn.Identity()])(x).shape == (2, 4, 16, 16)
    torch.testing.assert_close(Fuse([nn.Identity(), nn.Identity()])(x, skip), (x + skip) / 2)
    assert Fuse([nn.Conv2d(8, 4, 1)])(x, skip).shape == (2, 4, 8, 8)
