"""The family at its edges: inputs it takes and refuses, repeatable starts, and every published point running."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.core.space import Genotype
from irnas.models.biisnet import BiisNet
from irnas.nn import BinaryConv2d, traits
from irnas.nn.loss import softiou

POINTS = [row.name for row in catalog.load_published("biisnet") if row.genotype]


def build(point: str) -> nn.Module:
    torch.manual_seed(0)
    return models.build(catalog.find_point("biisnet", point))


def image(channels: int = 1, side: int = 32) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_its_paper_trains_with_soft_iou_and_we_with_more() -> None:
    network, truth = build("LIT10"), (image() > 0.95).float()
    torch.testing.assert_close(traits.own_loss(network)(image(), truth), softiou(network(image()), truth))
    assert traits.default_loss(network) is None


@pytest.mark.parametrize("point", POINTS)
def test_every_published_point_runs_and_learns(point: str) -> None:
    network = build(point)
    logits = network(image())
    assert logits.shape == (2, 1, 32, 32) and logits.dtype == torch.float32
    logits.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("side", [8, 24, 40])
def test_any_multiple_of_its_stride_fits(side: int) -> None:
    assert build("LIT10")(image(side=side)).shape == (2, 1, side, side)


@pytest.mark.parametrize(("shape", "expected"), [((1, 1, 12, 16), "12x16"), ((1, 2, 16, 16), "2 channels")])
def test_other_inputs_are_refused(shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(DataError, match=f"got {expected}"):
        build("LIT10")(torch.zeros(shape))


def test_three_channels_take_one_by_repeating_it() -> None:
    network = build("in_ch=3").eval()
    x = image()
    torch.testing.assert_close(network(x), network(x.expand(-1, 3, -1, -1)))
    assert network(image(3)).shape == (2, 1, 32, 32)


def test_one_seed_gives_one_network() -> None:
    first, second = build("LIT10"), build("LIT10")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_binary_convolutions_see_signs_only() -> None:
    network, seen = build("LIT10"), []
    for part in network.modules():
        if isinstance(part, BinaryConv2d):
            assert part.sign is not None
            part.sign.register_forward_hook(lambda _module, _inputs, signs: seen.append(signs))
    network.eval()(image())
    assert len(seen) == 6 and all(torch.equal(signs.abs(), torch.ones_like(signs)) for signs in seen)


def test_an_untrained_stem_sees_contrast_and_not_brightness() -> None:
    network = build("LIT10")
    assert isinstance(network, BiisNet)
    inside = slice(1, -1)
    bright, dark = (network.stem(image() + level)[..., inside, inside] for level in (0.0, 5.0))
    torch.testing.assert_close(bright, dark, rtol=0, atol=1e-4)


def test_levels_narrow_and_widen_as_told() -> None:
    network = build("base=8,stages=4,growth1=1,growth3=1,n_enc3=2,n_bot=0")
    assert isinstance(network, BiisNet)
    widths = [blocks[0].branch.conv.in_channels for blocks in network.enc]
    assert widths == [8, 16, 16, 32]
    assert len(network.enc[3]) == 4 and len(network.bottom) == 0
    assert [len(down.units) for down in network.down] == [2, 1, 2, 1]


def test_the_lowest_blocks_may_keep_their_second_convolution() -> None:
    network = build("n_bot=1,bot_layer2=BC")
    assert isinstance(network, BiisNet)
    assert isinstance(network.bottom[1].branch.conv, BinaryConv2d)
    assert not isinstance(network.enc[0][1].branch.conv, BinaryConv2d)


def test_amplification_is_undone_on_a_linear_path() -> None:
    plain, amplified = (
        build(f"gain={gain},n_enc0=0,n_enc1=0,n_enc2=0,n_bot=0,n_dec0=0,n_dec1=0,trans=none").eval() for gain in (1, 14)
    )
    amplified.load_state_dict(plain.state_dict())
    torch.testing.assert_close(amplified(image()), plain(image()))


def test_an_absent_family_is_told_from_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genotype = catalog.load("biisnet").default()
    assert "biisnet" in models.families()
    for name in ("biisnett", "../biisnet", "a.b"):
        with pytest.raises(SpaceError, match=r"one of .*biisnet"):
            models.build(dataclasses.replace(genotype, family=name))
    (tmp_path / "broken_family.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    # The names of families are looked up once a process.
    monkeypatch.setattr(models, "families", models.families.__wrapped__)
    broken = Genotype(space="x", family="broken_family", fingerprint="", values={})
    with pytest.raises(ModuleNotFoundError, match="a_module_that_nobody_has"):
        models.build(broken)


@pytest.mark.parametrize("seed", range(8))
def test_no_network_of_the_whole_space_explodes_at_its_start(seed: int) -> None:
    """Each axis drawn evenly from all of its values, but for the width, which is what takes time: up to 140 layers."""
    drawn, x = random.Random(seed), image(side=16)
    space = catalog.load("biisnet").restrict({"base": (4, 8)})
    truth = (x > 0.95).float()
    for _ in range(15):
        genotype = space.sample(drawn)
        torch.manual_seed(seed)
        network = models.build(genotype)
        logits = network(x)
        (softiou(logits, truth) + functional.binary_cross_entropy_with_logits(logits, truth)).backward()
        assert logits.abs().max() < 1e4, genotype.values
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        assert max(gradient.abs().max() for gradient in gradients) < 1e15, genotype.values


def test_maps_in_full_precision_are_normalised() -> None:
    def normalised(point: str) -> set[str]:
        return {name.split(".")[0] for name, part in build(point).named_modules() if isinstance(part, nn.BatchNorm2d)}

    assert normalised("default") == set()
    assert normalised("a_bin=none") == {"enc", "down", "bottom", "up", "fuse", "dec"}
    assert normalised("trans=BC,trans_a_bin=none") == {"down", "up", "fuse"}
