"""The sign function and the derivatives that stand in for its own.

Forward is always exactly +-1; backward multiplies by f'(x) of a smooth stand-in f. With a sharpness k > 0:

    identity    f = x                        f' = 1
    clip        f = clamp(x, -1, 1)          f' = 1 on [-1, 1]                       BNN, BBCU
    quad        f = 2x - x|x| on [-1, 1]     f' = 2 - 2|x| on [-1, 1]                Bi-Real-Net, eq. 5
    ede         f = max(1/k, 1) tanh(kx)     f' = max(1, k) (1 - tanh(kx)^2)         IR-Net, eq. 9; k rises by schedule
    tanh_learn  f = tanh(kx)                 f' = k (1 - tanh(kx)^2)                 BiSRNet; k learnt
    dysoftsign  f = kx / (1 + |kx|)          f' = k / (1 + |kx|)^2                   BiisNet, eq. 20; k learnt

The learnt k is stored as its logarithm: as a plain parameter of size 0.001 the first optimiser step can turn it
negative, and the gradient with it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from irnas.core.errors import SpaceError

ESTIMATORS = ("identity", "clip", "quad", "ede", "tanh_learn", "dysoftsign")
LOG_LIMIT = 12.0
"""k is held within e^-12 and e^12 in use: a run-away k ends as a gradient of zero and not of NaN."""
LEARNT = ("tanh_learn", "dysoftsign")
"""Estimators with a learnt k."""
EDE_RANGE = (1e-3, 10.0)
"""Sharpness of ``ede`` at the start and at the end of training: IR-Net's code, not its paper, names the start."""


def stand_in(estimator: str, x: Tensor, k: Tensor) -> Tensor:
    """The smooth function f(x) whose derivative an estimator uses; for tests and plots, the forward never needs it."""
    match estimator:
        case "identity":
            return x
        case "clip":
            return x.clamp(-1, 1)
        case "quad":
            inside = x.clamp(-1, 1)
            return 2 * inside - inside * inside.abs()
        case "ede":
            return torch.clamp(1 / k, min=1) * torch.tanh(k * x)
        case "tanh_learn":
            return torch.tanh(k * x)
        case "dysoftsign":
            return k * x / (1 + (k * x).abs())
    raise SpaceError(f"estimator: got {estimator!r}; one of {', '.join(ESTIMATORS)}")


def slope(estimator: str, x: Tensor, k: Tensor) -> Tensor:
    """The derivative f'(x), of the shape of ``x``; ``k`` broadcasts against ``x``."""
    match estimator:
        case "identity":
            return torch.ones_like(x)
        case "clip":
            return (x.abs() <= 1).to(x.dtype)
        case "quad":
            return x.abs().mul_(-2).add_(2).clamp_(min=0)
        case "ede":
            return (k * x).tanh_().square_().neg_().add_(1).mul_(k.clamp(min=1))
        case "tanh_learn":
            return (k * x).tanh_().square_().neg_().add_(1).mul_(k)
        case "dysoftsign":
            return (k * x).abs_().add_(1).square_().reciprocal_().mul_(k)
    raise SpaceError(f"estimator: got {estimator!r}; one of {', '.join(ESTIMATORS)}")


def hard_sign(x: Tensor, *, at_zero: int = 1) -> Tensor:
    """+1 where x >= 0 and -1 elsewhere; with ``at_zero=0`` a zero stays 0, as in torch.sign."""
    if at_zero == 0:
        return torch.sign(x)
    one = x.new_ones(())
    return torch.where(x >= 0, one, -one)


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, log_k: Tensor, estimator: str, at_zero: int) -> Tensor:
        ctx.estimator = estimator
        # The identity needs nothing back; every other estimator needs x alone.
        ctx.save_for_backward(*(() if estimator == "identity" else (x, log_k)))
        return hard_sign(x, at_zero=at_zero)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grad_outputs
        if ctx.estimator == "identity":
            return grad, None, None, None
        x, log_k = ctx.saved_tensors
        grad_x = slope(ctx.estimator, x, log_k.clamp(-LOG_LIMIT, LOG_LIMIT).exp()).mul_(grad)
        # f depends on kx alone, so df/d(log k) = x f'(x).
        grad_k = (grad_x * x).sum_to_size(log_k.shape) if ctx.needs_input_grad[1] else None
        return grad_x, grad_k, None, None


class Sign(nn.Module):
    """The sign of an activation map x_nchw, with a chosen gradient estimator.

    Args:
        estimator: one of ``ESTIMATORS``.
        shape: of the learnt sharpness, broadcastable to x: (1, 1, 1, 1) for one per layer.
        at_zero: the sign of 0: 1, or 0 for the legacy behaviour of the PyTorch sources.
        k0: where a learnt sharpness starts; above 0.
    """

    log_k: Tensor

    def __init__(
        self, estimator: str, shape: tuple[int, ...] = (1, 1, 1, 1), *, at_zero: int = 1, k0: float = 1.0
    ) -> None:
        super().__init__()
        if estimator not in ESTIMATORS:
            raise SpaceError(f"estimator: got {estimator!r}; one of {', '.join(ESTIMATORS)}")
        self.estimator, self.at_zero = estimator, at_zero
        if estimator in LEARNT:
            self.log_k = nn.Parameter(torch.full(shape, math.log(k0)))
        else:
            start = math.log(EDE_RANGE[0]) if estimator == "ede" else 0.0
            self.register_buffer("log_k", torch.full((1,) * len(shape), start), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """+-1 in the shape of x."""
        signs: Tensor = _Sign.apply(x, self.log_k, self.estimator, self.at_zero)  # type: ignore[no-untyped-call]
        return signs

    def set_progress(self, fraction: float) -> None:
        """Sharpen a scheduled estimator; see the function of the same name."""
        if self.estimator == "ede":
            low, high = map(math.log, EDE_RANGE)
            self.log_k.fill_(low + (high - low) * fraction)

    def extra_repr(self) -> str:
        """Shown by print(module)."""
        return f"{self.estimator}, at_zero={self.at_zero}"


class WeightSign(Sign):
    """The sign of a latent weight; a type of its own because it costs nothing at inference."""


def set_progress(module: nn.Module, fraction: float) -> None:
    """Tell scheduled estimators how far the training is; call it before each epoch.

    Args:
        module: any network; without a scheduled estimator nothing happens.
        fraction: epochs done over epochs planned, 0..1. IR-Net's k rises geometrically over it.
    """
    for part in module.modules():
        if isinstance(part, Sign):
            part.set_progress(min(max(fraction, 0.0), 1.0))
