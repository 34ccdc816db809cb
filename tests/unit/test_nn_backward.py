"""Gradients within the limit are untouched, larger ones keep their direction."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from irnas.nn.backward import GRADIENT_LIMIT, limit_gradients


def gradient(given: list[float], *, is_training: bool = True) -> list[float]:
    layer = nn.Identity().train(is_training)
    limit_gradients(layer)
    x = torch.zeros(len(given), requires_grad=True)
    layer(x * 1).backward(torch.tensor(given))
    assert x.grad is not None
    return x.grad.tolist()


def test_a_gradient_within_the_limit_stays_bit_for_bit() -> None:
    given = torch.tensor([GRADIENT_LIMIT, -0.1, 1e-30]).tolist()
    assert gradient(given) == given


def test_a_larger_gradient_is_scaled_down_as_a_whole() -> None:
    assert gradient([8 * GRADIENT_LIMIT, -4 * GRADIENT_LIMIT]) == pytest.approx([GRADIENT_LIMIT, -GRADIENT_LIMIT / 2])


def test_nothing_is_limited_outside_of_training() -> None:
    assert gradient([8 * GRADIENT_LIMIT], is_training=False) == pytest.approx([8 * GRADIENT_LIMIT])
