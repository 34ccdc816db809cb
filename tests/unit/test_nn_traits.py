"""What a network says of itself: read as it says it, and refused where it is misspelt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import SpaceError
from irnas.nn import traits

SAYS_ALL = {"frames": 3, "stride": 8, "learning_rate": 3e-3}


class Network(nn.Module):
    """A network that says nothing, and has names of its own."""

    sides = (1, 2)

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        self.stages, self.features, self.side = nn.ModuleList(), 4, 8
        self.weight = nn.Parameter(torch.zeros(()))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x_nchw: Tensor) -> Tensor:
        return x_nchw

    def decode(self, x_nchw: Tensor) -> Tensor:
        return x_nchw


def build(monkeypatch: pytest.MonkeyPatch, network: nn.Module) -> nn.Module:
    """The network by the door that all take, as if its family were BiisNet."""
    monkeypatch.setattr("irnas.models.biisnet.build", lambda values: network)
    return models.build(catalog.find_point("biisnet", "LIT10"))


@pytest.mark.parametrize(
    ("name", "trait"),
    [
        ("learning_rat", "learning_rate"),
        ("learningrate", "learning_rate"),
        ("Learning_rate", "learning_rate"),
        ("frame", "frames"),
        ("strdie", "stride"),
        ("los", "loss"),
        ("deployed", "deploy"),
        ("per_frames", "per_frame"),
    ],
)
def test_a_misspelt_trait_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, trait: str) -> None:
    message = f"^network biisnet: got {name}; did you mean {trait} "
    with pytest.raises(SpaceError, match=message):
        build(monkeypatch, Network(**{name: 1}))
    of_class = type("Other", (Network,), {name: lambda self: None})
    with pytest.raises(SpaceError, match=message):
        build(monkeypatch, of_class())


@pytest.mark.parametrize(
    ("name", "value", "must_be"),
    [
        ("frames", 0, "an integer of at least 1"),
        ("frames", True, "an integer of at least 1"),
        ("frames", 3.0, "an integer of at least 1"),
        ("stride", "8", "an integer of at least 1"),
        ("stride", nn.Parameter(torch.ones(())), "an integer of at least 1"),
        ("learning_rate", 0, "a number above 0 and at most 1"),
        ("learning_rate", 1.5, "a number above 0 and at most 1"),
        ("learning_rate", float("nan"), "a number above 0 and at most 1"),
        ("loss", 0.5, "a function of input and truth"),
        ("loss", nn.BCEWithLogitsLoss(), "a function of input and truth"),
        ("deploy", None, "a function without arguments"),
        ("per_frame", 1, "a function without arguments"),
    ],
)
def test_a_trait_of_the_wrong_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, must_be: str
) -> None:
    with pytest.raises(SpaceError, match=rf"(?s)^network biisnet: got {name} = .*; must be {must_be}$"):
        build(monkeypatch, Network(**{name: value}))


def test_names_of_its_own_stay_a_network_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(_learning_rat=1, in_channels=3)
    assert build(monkeypatch, network) is network


def test_a_network_that_says_nothing_has_the_defaults() -> None:
    network = Network()
    assert (traits.frames(network), traits.stride(network)) == (1, 1)
    assert traits.learning_rate(network) == traits.LEARNING_RATE
    assert traits.own_loss(network) is None
    assert traits.deploy(network) is network and not network.training
    assert traits.per_frame(network) is network


def test_a_network_is_taken_at_its_word() -> None:
    other = Network()
    network = Network(**SAYS_ALL, loss=min, deploy=lambda: other, per_frame=lambda: other)
    assert {name: getattr(traits, name)(network) for name in SAYS_ALL} == SAYS_ALL
    assert traits.own_loss(network) is traits.default_loss(network) is min
    both = Network(loss=min, paper_loss=max)
    assert (traits.default_loss(both), traits.own_loss(both)) == (min, max)
    assert traits.deploy(network) is other and traits.per_frame(network) is other


def test_the_input_axis_sets_the_channels() -> None:
    grey = catalog.find_point("biisnet", "LIT10")
    colour = models.with_channels(grey, 3)
    assert (
        colour == catalog.load("biisnet").genotype({**grey.values, "in_ch": 3})
        and models.with_channels(colour, 1) == grey
    )
    assert colour.key != grey.key
    with_none = catalog.load("sd2net").default()
    assert models.input_axis("sd2net") is None and models.with_channels(with_none, 3) is with_none


def test_an_input_axis_must_be_an_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irnas.models.biisnet.INPUT_AXIS", "in_chs")
    with pytest.raises(SpaceError, match=r"^family biisnet: got INPUT_AXIS 'in_chs'; must be one of in_ch, base"):
        models.with_channels(catalog.find_point("biisnet", "LIT10"), 3)


def test_importers_of_weights_are_no_families() -> None:
    assert "rpcanet_plus" in models.families() and "rpcanet_plus_weights" not in models.families()
    genotype = SimpleNamespace(family="rpcanet_plus_weights", values={})
    with pytest.raises(SpaceError, match=r"^family: got 'rpcanet_plus_weights'; one of adsnet, biisnet"):
        models.build(genotype)  # type: ignore[arg-type] # all that build reads
