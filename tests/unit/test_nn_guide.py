from __future__ import annotations

import pytest
import torch
from torch import nn

from irnas.nn.guide import Distribution, Guidance, Modulate, PeakNorm
from irnas.nn.residual import BasicBlock
from irnas.nn.slim import fold

CHANNELS = (4, 8, 16)


def maps(batch: int = 2, side: int = 2) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(batch, c, side * k, side * k) for c, k in zip(CHANNELS, (4, 2, 1), strict=True)]


@pytest.mark.parametrize("guided", [(2,), (1, 2), (0, 1, 2)])
def test_levels_keep_their_shape_and_only_guided_ones_change(guided: tuple[int, ...]) -> None:
    guided_maps = Distribution(CHANNELS, guided, by_channel=True, by_place=True)(*maps())
    for level, (before, after) in enumerate(zip(maps(), guided_maps, strict=True)):
        assert before.shape == after.shape
        assert torch.equal(before, after) == (level not in guided)


def test_the_formula() -> None:
    """Equation 5, written out with the gates taken apart."""
    guide = Guidance(8, nn.Identity(), by_channel=True, by_place=True).eval()
    torch.manual_seed(1)
    b, g = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    total = b + g
    channel, place = guide.gates
    assert isinstance(channel, nn.Sequential) and isinstance(place, nn.Sequential)
    peak = total.flatten(2).max(2).values[:, :, None, None]
    c = torch.sigmoid(channel[5](channel[4](torch.relu(channel[2](channel[1](peak))))))
    p = torch.sigmoid(place[1](total.max(1, keepdim=True).values))
    torch.testing.assert_close(guide(b, g), (c * g + p * g) * b + g)


def test_one_gate_drops_the_other_summand() -> None:
    b, g, c = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.rand(2, 3, 1, 1)
    torch.testing.assert_close(Modulate(1)(b, g, c), c * g * b + g)
    names = {len(Guidance(8, nn.Identity(), by_channel=a, by_place=not a).gates) for a in (True, False)}
    assert names == {1}


def test_a_single_image_trains() -> None:
    network = Distribution(CHANNELS, (1, 2), by_channel=True, by_place=True).train()
    guided_maps = network(*maps(batch=1))
    assert all(x.isfinite().all() for x in guided_maps)
    norm = PeakNorm(3).train()
    before = norm.running_mean
    assert before is not None
    before = before.clone()
    x = torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)
    assert norm.running_mean is not None and torch.equal(norm.running_mean, before)
    norm(torch.randn(2, 3, 1, 1))
    assert not torch.equal(norm.running_mean, before)


def test_residual_blocks_keep_or_halve() -> None:
    x = torch.randn(2, 4, 8, 8)
    assert BasicBlock(4, 4)(x).shape == (2, 4, 8, 8)
    assert BasicBlock(4, 8, 2)(x).shape == (2, 8, 4, 4)
    block = BasicBlock(4, 4).eval()
    torch.testing.assert_close(block(x), torch.relu(block.body(x) + x))


@torch.no_grad()
def test_folding_changes_nothing_but_rounding() -> None:
    torch.manual_seed(0)
    block = BasicBlock(4, 8, 2).double().train()
    for _ in range(3):
        block(torch.randn(4, 4, 8, 8, dtype=torch.float64))
    block.eval()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    wanted = block(x)
    fold(block)
    assert not [part for part in block.modules() if isinstance(part, nn.BatchNorm2d)]
    torch.testing.assert_close(block(x), wanted, rtol=1e-10, atol=1e-10)
