"""Losses for a few bright pixels in a large background. Each maps logits and 0/1 truth, both [N, 1, H, W], to a scalar.

``softiou`` sums over the batch before it divides. Its per-image form rewards an empty crop for predicting nothing, and
with half of the crops empty a small network soon predicts nothing at all; it is kept for recipes that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from irnas.core.errors import SettingsError
from irnas.core.recipe import POSITIVE_WEIGHT

Loss = Callable[[Tensor, Tensor], Tensor]


class WeightedLoss(Protocol):
    """A loss in which target pixels may count more."""

    def __call__(self, logits_n1hw: Tensor, truth_n1hw: Tensor, pos_weight: float = POSITIVE_WEIGHT) -> Tensor:
        """The loss, a scalar; ``pos_weight`` is what a target pixel counts in its cross-entropy, where it has one."""


_SMOOTH = 1.0
_PER_IMAGE = (1, 2, 3)


def softiou(logits_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
    """1 - (sum pg + 1) / (sum p + sum g - sum pg + 1), sums over the whole batch; p is the sigmoid of the logits.

    Reference: the form of the BasicIRSTD code base; smooth term 1.
    """
    return _soft_iou(logits_n1hw, truth_n1hw, dims=(0, *_PER_IMAGE))


def softiou_image(logits_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
    """Mean over the images of ``softiou`` of each."""
    return _soft_iou(logits_n1hw, truth_n1hw, dims=_PER_IMAGE).mean()


def bce(logits_n1hw: Tensor, truth_n1hw: Tensor, pos_weight: float = POSITIVE_WEIGHT) -> Tensor:
    """Binary cross-entropy, mean over the pixels, target pixels counted ``pos_weight`` times."""
    weight = torch.full((), pos_weight, device=logits_n1hw.device, dtype=logits_n1hw.dtype)
    return F.binary_cross_entropy_with_logits(logits_n1hw, truth_n1hw, pos_weight=weight)


def dice(logits_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
    """1 - (2 sum pg + 1) / (sum p + sum g + 1), sums over the whole batch."""
    probability = logits_n1hw.sigmoid()
    overlap = (probability * truth_n1hw).sum()
    return 1 - (2 * overlap + _SMOOTH) / (probability.sum() + truth_n1hw.sum() + _SMOOTH)


def focal(logits_n1hw: Tensor, truth_n1hw: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Cross-entropy weighted by alpha (1 - p_t)^gamma, summed and divided by the number of target pixels (at least 1).

    Reference: T.-Y. Lin et al., Focal Loss for Dense Object Detection, 2017, eq. 5.
    """
    entropy = F.binary_cross_entropy_with_logits(logits_n1hw, truth_n1hw, reduction="none")
    missed = 1 - torch.exp(-entropy)
    weight = alpha * truth_n1hw + (1 - alpha) * (1 - truth_n1hw)
    return (weight * missed**gamma * entropy).sum() / truth_n1hw.sum().clamp(min=1)


LOSSES: Mapping[str, Loss] = {
    "softiou": softiou,
    "softiou_image": softiou_image,
    "bce": bce,
    "dice": dice,
    "focal": focal,
}


def make_loss(text: str) -> WeightedLoss:
    """The loss called ``text``: one name, or names joined by '+' for their sum.

    Raises:
        SettingsError: a name that is not in ``LOSSES``.
    """
    names = text.split("+")
    for name in names:
        if name not in LOSSES:
            raise SettingsError(f"loss: got {name!r}; one of {', '.join(LOSSES)}, or a sum such as softiou+bce")

    def total(logits_n1hw: Tensor, truth_n1hw: Tensor, pos_weight: float = POSITIVE_WEIGHT) -> Tensor:
        parts = [
            bce(logits_n1hw, truth_n1hw, pos_weight) if name == "bce" else LOSSES[name](logits_n1hw, truth_n1hw)
            for name in names
        ]
        return torch.stack(parts).sum()

    return total


def _soft_iou(logits_n1hw: Tensor, truth_n1hw: Tensor, dims: tuple[int, ...]) -> Tensor:
    probability = logits_n1hw.sigmoid()
    overlap = (probability * truth_n1hw).sum(dims)
    union = probability.sum(dims) + truth_n1hw.sum(dims) - overlap
    return 1 - (overlap + _SMOOTH) / (union + _SMOOTH)
