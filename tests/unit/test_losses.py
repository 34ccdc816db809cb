from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from irnas.core.errors import SettingsError
from irnas.core.recipe import POSITIVE_WEIGHT
from irnas.nn.loss import LOSSES, make_loss


def by_hand(name: str, logits: Tensor, truth: Tensor) -> float:
    """The loss from its formula, one pixel at a time."""
    images = [
        [(1 / (1 + math.exp(-z)), g) for z, g in zip(zs.flatten().tolist(), gs.flatten().tolist(), strict=True)]
        for zs, gs in zip(logits, truth, strict=True)
    ]
    pixels = [pair for image in images for pair in image]

    def soft_iou(pairs: list[tuple[float, float]]) -> float:
        overlap = sum(p * g for p, g in pairs)
        return 1 - (overlap + 1) / (sum(p for p, _ in pairs) + sum(g for _, g in pairs) - overlap + 1)

    if name == "softiou":
        return soft_iou(pixels)
    if name == "softiou_image":
        return sum(map(soft_iou, images)) / len(images)
    if name == "bce":
        return sum(-POSITIVE_WEIGHT * g * math.log(p) - (1 - g) * math.log(1 - p) for p, g in pixels) / len(pixels)
    if name == "dice":
        return 1 - (2 * sum(p * g for p, g in pixels) + 1) / (sum(p for p, _ in pixels) + sum(g for _, g in pixels) + 1)
    total = 0.0
    for p, g in pixels:
        right, alpha = (p, 0.25) if g else (1 - p, 0.75)
        total += -alpha * (1 - right) ** 2 * math.log(right)
    return total / max(sum(g for _, g in pixels), 1)


def case(seed: int, share: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 4, 5, generator=generator, dtype=torch.float64) * 3
    truth = (torch.rand(3, 1, 4, 5, generator=generator) < share).double()
    return logits, truth


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@given(seed=st.integers(0, 1000))
def test_each_loss_is_its_formula(name: str, share: float, seed: int) -> None:
    logits, truth = case(seed, share)
    assert make_loss(name)(logits, truth).item() == pytest.approx(by_hand(name, logits, truth), rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_right_beats_wrong_and_extremes_are_finite(name: str) -> None:
    truth = torch.zeros(2, 1, 8, 8)
    truth[0, 0, 2:4, 2:4] = 1
    sure = 200 * (truth - 0.5)
    right, wrong = make_loss(name)(sure, truth), make_loss(name)(-sure, truth)
    assert 0 <= right < 0.05 and torch.isfinite(wrong) and wrong > right + 0.5


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_formula(name: str) -> None:
    logits, truth = case(7, 0.2)
    assert torch.autograd.gradcheck(lambda z: make_loss(name)(z, truth), logits.requires_grad_())


def test_batch_and_image_forms_differ_on_an_empty_crop() -> None:
    truth = torch.zeros(2, 1, 8, 8)
    truth[0, 0, 4, 4] = 1
    logits = torch.full_like(truth, -2.0)
    assert make_loss("softiou")(logits, truth) != make_loss("softiou_image")(logits, truth)
    assert make_loss("softiou")(logits[:1], truth[:1]) == make_loss("softiou_image")(logits[:1], truth[:1])


def test_a_sum_is_the_sum() -> None:
    logits, truth = case(3, 0.2)
    parts = make_loss("softiou")(logits, truth) + make_loss("bce")(logits, truth)
    assert make_loss("softiou+bce")(logits, truth) == pytest.approx(parts)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(SettingsError, match="got 'hinge'; one of softiou"):
        make_loss("softiou+hinge")
