"""What every family keeps to when its networks start from the weights of others."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.core.space import Genotype
from irnas.nn import traits
from irnas.nn.block import Layer, Recipe
from irnas.nn.inheritance import become_identity, inherit

WIDTHS: dict[str, dict[str, tuple[int, int]]] = {
    "biisnet": {"base": (4, 8)},
    "rpcanet_plus": {"bc": (2, 4), "tc": (16, 32)},
    "sd2net": {"c": (2, 4)},
    "std2net": {"c": (2, 4), "features": (4, 8)},
    "adsnet": {"width": (16, 32), "d": (16, 32)},
    "sgem_unet": {"c": (4, 8)},
}
"""The axes of each space that are widths, as a narrow network has them, and one twice as wide."""
OTHER = {
    "biisnet": [{"bn": True, "layer2": "BC", "trans": "BC"}, {"w_bin": "siman"}],
    "adsnet": [{"afd": "off"}],
    "rpcanet_plus": [],
}
"""Further values to try widths with; a body of binary layers where nothing is said."""
SMALL = {"rpcanet_plus": {"stages": 2, "depth_t": 1, "depth_n": 1}, "std2net": {"frames": 3}}
BODY: list[dict[str, Any]] = [{"binary": "body"}]
PAIRS = 3


def build(genotype: Genotype, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return models.build(genotype).double()


def trained(genotype: Genotype) -> nn.Module:
    """A network whose numbers are nowhere as they were drawn."""
    network, generator = build(genotype, 0), torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not name.endswith("log_k"):
            tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator).to(tensor.dtype))
    return network.eval()


def image(network: nn.Module) -> Tensor:
    channels = getattr(network, "in_channels", 0) or traits.frames(network)
    return torch.rand(1, channels, 32, 32, generator=torch.Generator().manual_seed(1)).double()


def require_equal(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    mine = network.state_dict()
    assert mine.keys() == state.keys()
    assert all(torch.equal(mine[name], tensor) for name, tensor in state.items())


@torch.no_grad()
def logits(network: nn.Module, x_nchw: Tensor) -> Tensor:
    logits_n1hw: Tensor = network.eval()(x_nchw)
    return logits_n1hw


def widths() -> list[Any]:
    return [
        pytest.param(name, {**SMALL.get(name, {}), **values}, id=f"{name}-{number}")
        for name in WIDTHS
        for number, values in enumerate([{}, *OTHER.get(name, BODY)])
    ]


def test_all_families_are_tried() -> None:
    assert set(WIDTHS) == {catalog.load(name).name for name in catalog.list_names()}


@pytest.mark.parametrize(("name", "values"), widths())
def test_a_network_twice_as_wide_gives_the_same(name: str, values: dict[str, Any]) -> None:
    space = catalog.load(name)
    narrow, wide = (space.complete({**values, **{a: w[i] for a, w in WIDTHS[name].items()}}) for i in (0, 1))
    parent, child = trained(narrow), build(wide, 1)
    assert inherit(child, parent, noise=0.0) == 1.0
    expected = logits(parent, image(parent))
    # Scales of signs and sums over channels are rounded, and a norm divides by its variance plus a little.
    assert (logits(child, image(parent)) - expected).abs().max() < 1e-6 * expected.std()


@pytest.mark.parametrize("name", WIDTHS)
def test_an_equal_network_is_copied_and_any_other_can_inherit(name: str) -> None:
    space, rng = catalog.load(name), random.Random(f"inherit {name}")
    focus = space.focus()
    genotypes = [space.complete(dict(focus.sample(rng).values)) for _ in range(PAIRS)]
    parents = [trained(genotype) for genotype in genotypes]
    before = [copy.deepcopy(parent.state_dict()) for parent in parents]
    for genotype, parent, other in zip(genotypes, parents, [*parents[1:], parents[0]], strict=True):
        twin = build(genotype, 2)
        assert inherit(twin, parent) == 1.0
        require_equal(twin, parent.state_dict())
        child = build(genotype, 3)
        assert 0 < inherit(child, other) <= 1
        assert all(tensor.isfinite().all() for tensor in child.state_dict().values())
    assert logits(child, image(child)).isfinite().all()
    for parent, state in zip(parents, before, strict=True):
        require_equal(parent, state)


def test_a_network_of_another_family_inherits_what_it_can_and_keeps_the_rest() -> None:
    child = build(catalog.load("sgem_unet").complete({"c": 4}), 0)
    assert 0 <= inherit(child, trained(catalog.load("biisnet").complete({"base": 4}))) < 0.5
    assert logits(child, image(child)).isfinite().all()


@pytest.mark.parametrize("noise", [0.0, None])
def test_depth_is_added_as_identity(noise: float | None) -> None:
    space = catalog.load("biisnet")
    base = {"base": 4, "stages": 2, "n_bot": 1, "bn": True}
    parent = trained(space.complete(base))
    child = build(space.complete({**base, "n_enc0": 3, "n_bot": 3, "n_dec1": 2}), 1)
    share = inherit(child, parent) if noise is None else inherit(child, parent, noise=noise)
    assert 0.3 < share < 1
    x_nchw = image(parent)
    # Nothing is wider: there is no noise at all.
    torch.testing.assert_close(logits(child, x_nchw), logits(parent, x_nchw))


@pytest.mark.parametrize(
    ("kind", "values", "rest"),
    [
        ("BC", {"bn": True}, 0.0),
        ("BC", {"out_affine": True}, 0.0),
        ("BC", {}, 0.1),
        ("BC", {"w_bin": "siman"}, 0.1),
        ("DB", {}, 0.0),
        ("DB", {"act_db": "rprelu"}, 0.1),
    ],
)
def test_a_layer_that_adds_next_to_nothing_still_learns(kind: str, values: dict[str, Any], rest: float) -> None:
    torch.manual_seed(0)
    layer, x_nchw = Layer(Recipe(**values), kind, 4), torch.randn(2, 4, 8, 8)
    before = (layer(x_nchw) - x_nchw).abs().mean()
    assert become_identity(layer)
    y_nchw = layer(x_nchw)
    assert (y_nchw - x_nchw).abs().mean() <= rest * before
    y_nchw.square().mean().backward()
    assert sum(float(p.grad.abs().sum()) for p in layer.parameters() if p.grad is not None) > 0


def test_what_cannot_be_an_identity_says_so() -> None:
    for values in ({"residual": "add_then_act"}, {"residual": "none"}, {"w_bin": "sign"}):
        assert not become_identity(Layer(Recipe(**values), "BC", 4)), values
    assert not become_identity(nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU()))


def test_a_longer_list_of_convolutions_passes_maps_on() -> None:
    space = catalog.load("rpcanet_plus")
    short = {"stages": 1, "depth_t": 1, "bc": 4}
    parent, child = trained(space.complete(short)), build(space.complete({**short, "depth_t": 3}), 1)
    inherit(child, parent)
    x_n1hw = image(parent)
    torch.testing.assert_close(logits(child, x_n1hw), logits(parent, x_n1hw))


def test_a_larger_kernel_holds_the_smaller_one_in_its_middle() -> None:
    small, large = nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, 3, padding=1, bias=False)
    x_nchw = torch.randn(1, 2, 5, 5)
    assert inherit(large, small) == pytest.approx(1 / 9)
    torch.testing.assert_close(large(x_nchw), small(x_nchw))
    back = nn.Conv2d(2, 2, 1, bias=False)
    assert inherit(back, large) == 1.0 and torch.equal(back.weight, small.weight)


def test_channels_that_are_there_unequally_often_keep_the_sum() -> None:
    narrow = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 1))
    wide = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Conv2d(3, 1, 1))
    x_nchw = torch.randn(1, 1, 4, 4)
    assert inherit(wide, narrow, noise=0.0) == 1.0
    torch.testing.assert_close(wide(x_nchw), narrow(x_nchw))
    inherit(wide, narrow)
    assert not torch.equal(wide[0].weight[0], wide[0].weight[1]), "two copies that would learn the same for ever"
