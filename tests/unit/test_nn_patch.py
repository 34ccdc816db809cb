from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from irnas.nn import patch
from irnas.nn.patch import Decision, PatchActivation, PatchPool, upsample_mask


def activation(d: int, side: int, seed: int = 0, dropped: int = 50) -> PatchActivation:
    """Random weights, statistics and gains, negative ones too."""
    torch.manual_seed(seed)
    block = PatchActivation(d, side, dropped).eval()
    for part in block.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(part.weight)
            torch.nn.init.normal_(part.bias)
    return block


def drawn(batch: int, rows: int, columns: int, share: float) -> Tensor:
    return (torch.rand(batch, 1, rows, columns) < share).float()


@pytest.mark.parametrize("side", [1, 2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 8), (12, 20)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.75, 1.0])
@torch.no_grad()
def test_skipping_equals_masking(side: int, height: int, width: int, share: float) -> None:
    block = activation(8, side)
    x = torch.randn(3, 8, height, width)
    active = drawn(3, -(-height // side), -(-width // side), share)
    wanted = block.masked(x, upsample_mask(active, side, x))
    torch.testing.assert_close(block(x, active), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        block(x.contiguous(memory_format=torch.channels_last), active), wanted, rtol=1e-5, atol=1e-5
    )


@torch.no_grad()
def test_rows_in_several_parts_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    block, x = activation(4, 2), torch.randn(2, 4, 16, 16)
    active = drawn(2, 8, 8, 0.6)
    wanted = block(x, active)
    monkeypatch.setattr(patch, "_PART", 7)
    torch.testing.assert_close(block(x, active), wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_an_inactive_position_stays_and_changes_no_other() -> None:
    block, x = activation(4, 4), torch.randn(1, 4, 16, 16)
    active = torch.ones(1, 1, 4, 4)
    active[0, 0, 1, 2] = 0
    y = block(x, active)
    hole = (slice(None), slice(None), slice(4, 8), slice(8, 12))
    assert torch.equal(y[hole], x[hole])
    other = x.clone()
    other[hole] += 10
    changed = block(other, active)
    changed[hole] = y[hole]
    assert torch.equal(changed, y)


@torch.no_grad()
def test_only_active_rows_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []

    def counting(taps_rtc: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows.append(len(taps_rtc))
        return torch.zeros(len(taps_rtc), len(bias))

    monkeypatch.setattr(patch, "_dense", counting)
    active = torch.zeros(1, 1, 4, 4)
    active[0, 0, 0, :3] = 1
    activation(4, 4)(torch.randn(1, 4, 16, 16), active)
    assert rows == [48, 48, 48, 48]


def test_training_masks_and_passes_gradients_to_the_decision() -> None:
    block, x = activation(4, 2).train(), torch.randn(2, 4, 8, 8)
    active = drawn(2, 4, 4, 0.5).requires_grad_()
    block(x, active).sum().backward()
    assert active.grad is not None and active.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("grid", "stride", "size", "wanted"),
    [
        (16, 16, 16, 16),
        (16, 8, 32, 16),
        (32, 16, 16, 32),
        (32, 8, 32, 32),
        (8, 16, 16, 8),
        (4, 8, 32, 4),
        (4, 16, 2, 1),
        (4, 16, 5, 2),
        (32, 16, 1, 2),
    ],
)
def test_pools_to_patches(grid: int, stride: int, size: int, wanted: int) -> None:
    pool, x = PatchPool(grid, stride), torch.randn(2, 3, size, size)
    assert pool(x).shape == pool.shape(tuple(x.shape)) == (2, 3, wanted, wanted)
    assert pool(x).amax() == x.amax()
    if size % wanted == 0 or wanted % size == 0:
        assert torch.equal(pool(x), torch.nn.functional.adaptive_max_pool2d(x, wanted))


@pytest.mark.parametrize(
    ("patches", "dropped", "kept"),
    [
        (256, 25, 192),
        (256, 50, 128),
        (256, 20, 205),
        (256, 60, 103),
        (16, 30, 12),
        (1, 60, 1),
        (10, 30, 7),
        (4, 0, 4),
    ],
)
def test_keeps_so_many(patches: int, dropped: int, kept: int) -> None:
    assert patch.num_kept(patches, dropped) == kept


def test_ranks_and_nests_in_evaluation() -> None:
    torch.manual_seed(0)
    first, second = Decision(25).eval(), Decision(50).eval()
    scores, others = torch.randn(3, 2, 6, 5), torch.randn(3, 2, 6, 5)
    active = first(scores)
    inner = second(others, active)
    assert active.sum((1, 2, 3)).tolist() == [23] * 3 and inner.sum((1, 2, 3)).tolist() == [15] * 3
    assert ((inner == 1) <= (active == 1)).all()
    margin = scores[:, :1] - scores[:, 1:]
    for image, kept in zip(margin, active, strict=True):
        assert image[kept == 1].min() >= image[kept == 0].max()


def test_of_equal_patches_the_first_stay() -> None:
    active = Decision(50).eval()(torch.zeros(1, 2, 32, 32)).flatten()
    assert active[:512].all() and not active[512:].any()


def test_samples_in_training() -> None:
    torch.manual_seed(0)
    decide = Decision(50).train()
    scores = torch.zeros(4, 2, 16, 16)
    scores[:, 0] = 1.0
    scores.requires_grad_()
    active = decide(scores)
    assert set(active.unique().tolist()) == {0.0, 1.0}
    # A margin of one is a share of sigmoid(1).
    assert active.mean().item() == pytest.approx(0.731, abs=0.04)
    assert not torch.equal(active, decide(scores))
    before = drawn(4, 16, 16, 0.5)
    assert ((decide(scores, before) > 0) <= (before > 0)).all()
    (active * torch.randn_like(active)).sum().backward()
    assert scores.grad is not None and scores.grad.abs().sum() > 0


def test_counts_what_is_left() -> None:
    for (d, side), dropped in itertools.product(((8, 4), (128, 2)), (0, 25, 50)):
        macs, outputs, elementwise = PatchActivation(d, side, dropped).work((1, d, 32, 32))
        positions = 1024 * (100 - dropped) / 100
        assert (macs, outputs, elementwise) == (31 * d * d * positions, 5 * d * positions, 11 * d * positions)
